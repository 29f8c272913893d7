import { Failure } from "../../src/protocol/errors.ts";
import type { Assignment } from "../../src/protocol/instance-spec.ts";
import type { Desk } from "./desk.ts";
import { summarizeProvider } from "./summaries.ts";

/**
 * What the one who grants should know of the provider: a sentence when it is not available now, for a grant may well
 * come first. INVALID_REQUEST when a provider of that name is of another type.
 */
export function providerWarning(
  desk: Desk,
  { provider, providerType }: Pick<Assignment, "provider" | "providerType">,
): string | undefined {
  const name = provider ?? providerType;
  const known = [...desk.view.nodes.values()]
    .flatMap((node) => node.providers.get(name) ?? [])
    .map((one) => summarizeProvider(desk, one));
  const living = known.filter(({ status }) => status !== "stopped" && status !== "unreachable");
  const other = living.find((one) => one.providerType !== providerType);
  if (other !== undefined)
    throw new Failure(
      "INVALID_REQUEST",
      `provider ${name} is of type ${other.providerType}, not ${providerType}`,
      {
        fix: "`wasmatrix providers` lists the providers with their types.",
        details: { fields: ["assignment.provider"], provider: name, providerType: other.providerType },
      },
    );
  if (living.some(({ status }) => status === "available")) return undefined;
  const state = known[0] === undefined ? "is not known" : `is ${known[0].status}`;
  return `provider ${name} ${state}: calls fail with PROVIDER_UNAVAILABLE until it is there; \`wasmatrix provider ${providerType}\` starts one`;
}

/** The warnings of several grants as one sentence, as a field of an answer. */
export function warningsOf(desk: Desk, grants: readonly Assignment[]): { warning?: string } {
  const warnings = new Set(grants.flatMap((grant) => providerWarning(desk, grant) ?? []));
  return warnings.size === 0 ? {} : { warning: [...warnings].join("; ") };
}
