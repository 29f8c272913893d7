import { registryLimits } from "../limits.ts";
import { Failure } from "./errors.ts";
import { echo } from "./ids.ts";

/** Where a module is in a registry. */
export interface OciReference {
  /** `host`, or `host:port`. */
  readonly registry: string;
  readonly repository: string;
  /** A tag, or the `sha256:…` of a manifest, which wins where both are given. */
  readonly version: string;
}

const host = /^(?:\[[0-9A-Fa-f:]{2,39}\]|[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)(?::\d{1,5})?$/;
const component = /^[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*$/;
const tagForm = /^\w[\w.-]{0,127}$/;
const digestForm = /^sha256:[0-9a-f]{64}$/;

/**
 * Reads `host[:port]/name[:tag][@sha256:…]`, with or without `oci://` before it; the tag is `latest` unless given. The
 * host is never guessed. Source: OCI distribution specification 1.1, "Pulling manifests". INVALID_REQUEST says what is
 * wrong.
 */
export function parseOciReference(text: string): OciReference {
  if (text.length > registryLimits.referenceCharactersMax)
    throw illegal(text, `has more than ${registryLimits.referenceCharactersMax} characters`);
  const bare = text.startsWith("oci://") ? text.slice("oci://".length) : text;
  const slash = bare.indexOf("/");
  const registry = slash < 0 ? "" : bare.slice(0, slash);
  if (!host.test(registry) || URL.parse(`https://${registry}`) === null)
    throw illegal(text, "names no registry");
  const [rest = "", digest, ...more] = bare.slice(slash + 1).split("@");
  if (more.length > 0 || (digest !== undefined && !digestForm.test(digest)))
    throw illegal(text, "has a digest that is not `sha256:` and 64 lower-case hex digits");
  const [repository = "", tag, ...others] = rest.split(":");
  if (repository.length > 255 || !repository.split("/").every((part) => component.test(part)))
    throw illegal(text, "has no legal name: lower-case letters, digits, and `.`, `_`, `-`, `/` between them");
  if (others.length > 0 || (tag !== undefined && !tagForm.test(tag))) throw illegal(text, "has no legal tag");
  return { registry, repository, version: digest ?? tag ?? "latest" };
}

/** The same module, whatever its tag says later. */
export function pinnedReference({ registry, repository }: OciReference, manifestDigest: string): string {
  return `${registry}/${repository}@${manifestDigest}`;
}

/** Whether a text is a reference; for schemas. */
export function isOciReference(text: string): boolean {
  try {
    parseOciReference(text);
    return true;
  } catch {
    return false;
  }
}

function illegal(text: string, problem: string): Failure {
  return new Failure("INVALID_REQUEST", `the reference ${echo(text)} ${problem}`, {
    fix: "Write it as oci://registry.example.com/name:tag, or with @sha256:… for a certain manifest.",
  });
}
