import type { Hearing } from "./hearing.ts";
import type { Truth } from "./truth.ts";

/** What a checker has to go by. */
export interface Look {
  /** True time, ms. */
  now(): number;
  readonly hearing: Hearing;
  readonly truth: Truth;
  /** Something is not as it must be: what was seen, in one sentence. */
  fail(what: string): void;
}
