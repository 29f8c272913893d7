import type { ProviderView } from "../../src/lattice/view.ts";
import { servingStatuses } from "../../src/lattice/provider-summary.ts";
import { controlPlaneLimits } from "../../src/limits.ts";
import { Failure } from "../../src/protocol/errors.ts";
import type { Assignment } from "../../src/protocol/instance-spec.ts";
import { isBuiltIn, providerTypes } from "../../src/protocol/permissions.ts";
import type { Desk } from "./desk.ts";
import { summarizeProvider } from "./summaries.ts";

/**
 * What the one who grants should know of the provider: a sentence when it does not serve now, for a grant may well come
 * first. INVALID_REQUEST for what cannot be meant: a type of which no provider was ever heard, a provider that no fact
 * has named, one that is of another type. While the view has gaps what is not in it may still exist.
 */
export function providerWarning(
  desk: Desk,
  { provider, providerType }: Pick<Assignment, "provider" | "providerType">,
): string | undefined {
  // A guest that is called needs no provider between.
  if (providerType === "call") return undefined;
  const name = provider ?? providerType;
  const all = providersOf(desk);
  const { complete } = desk.viewStatus();
  if (complete && !isBuiltIn(providerType) && !all.some(({ info }) => info.providerType === providerType))
    throw unknownType(all, providerType);
  const known = all.filter(({ info }) => info.provider === name).map((one) => summarizeProvider(desk, one));
  if (complete && provider !== undefined && known.length === 0)
    throw unknownProvider(all, provider, providerType);
  const living = known.filter(({ status }) => status !== "stopped" && status !== "unreachable");
  const meant = living.length > 0 ? living : provider === undefined ? [] : known;
  const other = meant.find((one) => one.providerType !== providerType);
  if (other !== undefined)
    throw wrong(
      "assignment.provider",
      `provider ${name} is of type ${other.providerType}, not ${providerType}`,
      "`wasmatrix providers` lists the providers with their types.",
      { provider: name, providerType: other.providerType },
    );
  if (living.some(({ status }) => status === "available")) return undefined;
  const unwell = living.find(({ status }) => servingStatuses.has(status));
  if (unwell !== undefined) return `provider ${name} is not well: ${unwell.reason ?? "its check fails"}`;
  const state = known[0] === undefined ? "is not known" : `is ${(living[0] ?? known[0]).status}`;
  const start = isBuiltIn(providerType) ? `wasmatrix provider ${providerType}` : "wasmatrix provider <file>";
  return `provider ${name} ${state}: calls fail with PROVIDER_UNAVAILABLE until it is there; \`${start}\` starts one`;
}

/** The warnings of several grants as one sentence, as a field of an answer. */
export function warningsOf(desk: Desk, grants: readonly Assignment[]): { warning?: string } {
  const warnings = new Set(grants.flatMap((grant) => providerWarning(desk, grant) ?? []));
  return warnings.size === 0 ? {} : { warning: [...warnings].join("; ") };
}

/** Every provider that was heard of, once for each of its hosts. */
export function providersOf(desk: Desk): ProviderView[] {
  return [...desk.view.nodes.values()].flatMap((node) => [...node.providers.values()]);
}

function unknownType(all: readonly ProviderView[], providerType: string): Failure {
  const own = new Set(all.map(({ info }) => info.providerType));
  const types = [...new Set([...providerTypes(), ...own])].toSorted();
  return wrong(
    "assignment.providerType",
    `there is no provider type ${providerType}`,
    `There are: ${listed(types)}. A provider of one's own is to run before it is granted: \`wasmatrix provider <file>\`.`,
    { providerType, providerTypes: types.slice(0, controlPlaneLimits.failuresListedMax) },
  );
}

function unknownProvider(all: readonly ProviderView[], provider: string, providerType: string): Failure {
  const fitting = all.filter(({ info }) => info.providerType === providerType);
  const names = [...new Set(fitting.map(({ info }) => info.provider))].toSorted();
  const there =
    names.length === 0 ? `No provider of type ${providerType} is known` : `There are: ${listed(names)}`;
  return wrong(
    "assignment.provider",
    `no provider ${provider} is known`,
    `${there}. Start it first, or leave the provider out to mean the one that is called ${providerType}.`,
    { provider, providers: names.slice(0, controlPlaneLimits.failuresListedMax) },
  );
}

function listed(names: readonly string[]): string {
  return names.slice(0, controlPlaneLimits.failuresListedMax).join(", ");
}

function wrong(field: string, message: string, fix: string, details: Record<string, unknown>): Failure {
  return new Failure("INVALID_REQUEST", message, { fix, details: { fields: [field], ...details } });
}
