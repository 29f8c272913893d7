import type { ComponentHost } from "./component-host.ts";
import type { NewFields } from "./http-fields.ts";

/** What the parts of one guest's wasi:http share. */
export interface HttpContext {
  readonly host: ComponentHost;
  readonly newFields: NewFields;
  /** Bodies that are offered to readers elsewhere and not yet read or given up. */
  bodiesServed: number;
  /** Whether the request that the guest works on is HEAD, whose answer says the length of a body that it has not. */
  isHead: boolean;
}
