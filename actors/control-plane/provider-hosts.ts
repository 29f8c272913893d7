import type { NodeView } from "../../src/lattice/view.ts";
import { endedStatuses } from "../../src/lattice/provider-summary.ts";
import { Failure } from "../../src/protocol/errors.ts";
import type { ProviderKindInfo } from "../../src/protocol/facts.ts";
import { echo } from "../../src/protocol/ids.ts";
import { isBuiltIn } from "../../src/protocol/permissions.ts";
import type { Desk } from "./desk.ts";
import { noPlace } from "./place.ts";
import { summarizeNode } from "./summaries.ts";

/** A provider that is to run somewhere. */
export interface WantedProvider {
  readonly provider: string;
  readonly kind: string;
  readonly backend?: string | undefined;
  readonly nodeId?: string | undefined;
  readonly requires: Readonly<Record<string, string>>;
}

/**
 * The nodes that can host it, the best first: with the fewest providers, then by their ids, so that two control planes
 * with the same view choose alike. A process that only hosts providers is taken where it was named, or where the labels
 * that are required are its own. INVALID_REQUEST for a kind or backend that no node has, NODE_NOT_FOUND,
 * NODE_UNAVAILABLE or RESOURCE_EXHAUSTED where no node can take it.
 */
export function hostsFor(desk: Desk, wanted: WantedProvider): string[] {
  const { provider, kind, backend, nodeId } = wanted;
  const nodes = [...desk.view.nodes.values()].filter(
    (node) => nodeId === undefined || node.nodeId === nodeId,
  );
  if (nodeId !== undefined && nodes.length === 0) throw nodeNotFound(desk, nodeId);
  const told = nodes.flatMap((node) => node.joined?.providerKinds ?? []);
  if (told.length === 0)
    throw new Failure("NODE_UNAVAILABLE", `no node is known that could host provider ${provider}`, {
      fix: `Start a node with \`wasmatrix node\`, or the provider in a process of its own with \`wasmatrix provider ${kind}\`.`,
    });
  assertKind(told, kind, backend, nodeId);
  // A grant that names no provider means the one that is called like its type.
  if (isBuiltIn(provider) && isBuiltIn(kind) && provider !== kind)
    throw wrong(
      "provider",
      `${provider} is the name of the default provider of that type`,
      "Choose another name.",
    );
  const unfit: { nodeId: string; reason: string; full: boolean }[] = [];
  const fit: { nodeId: string; providers: number }[] = [];
  for (const node of nodes) {
    const reason = obstacle(desk, node, wanted);
    if (reason === undefined) fit.push({ nodeId: node.nodeId, providers: livingOn(node) });
    else unfit.push({ nodeId: node.nodeId, reason, full: false });
  }
  if (fit.length === 0) throw noPlace({ unfit }, `provider ${provider}`);
  return fit
    .toSorted((one, other) => one.providers - other.providers || (one.nodeId < other.nodeId ? -1 : 1))
    .map((one) => one.nodeId);
}

/** NODE_NOT_FOUND, with what to do. */
export function nodeNotFound(desk: Desk, nodeId: string): Failure {
  const { complete, gaps } = desk.viewStatus();
  return new Failure("NODE_NOT_FOUND", `no node ${nodeId} is known`, {
    fix: "`wasmatrix nodes` lists those that there are.",
    retry: complete ? "never" : "later",
    details: { nodeId, gaps },
  });
}

function assertKind(
  told: readonly ProviderKindInfo[],
  kind: string,
  backend: string | undefined,
  nodeId: string | undefined,
): void {
  const on = nodeId === undefined ? "" : ` on node ${nodeId}`;
  const those = told.filter((one) => isKind(one, kind));
  if (those.length === 0) {
    const kinds = [...new Set(told.map((one) => one.kind))].toSorted();
    throw wrong("kind", `there is no kind of provider ${echo(kind)}${on}`, `There are: ${kinds.join(", ")}.`);
  }
  const backends = new Set(those.flatMap((one) => one.backends));
  if (backend === undefined || backends.has(backend)) return;
  const there =
    backends.size === 0 ? "It has none to choose from." : `There are: ${[...backends].join(", ")}.`;
  throw wrong("backend", `${echo(kind)} has no backend ${backend}${on}`, there);
}

function obstacle(desk: Desk, node: NodeView, wanted: WantedProvider): string | undefined {
  const { status, labels, guestKinds } = summarizeNode(desk, node);
  const { kind, backend, nodeId, requires } = wanted;
  if (status !== "alive") return `is ${status}`;
  const missing = Object.entries(requires).find(
    ([label, value]) => !Object.hasOwn(labels, label) || labels[label] !== value,
  );
  if (missing !== undefined) return `has not ${missing.join("=")}`;
  if (guestKinds.length === 0 && nodeId === undefined && Object.keys(requires).length === 0)
    return "only hosts the providers that it was started with, unless it is named";
  const hosts = node.joined?.providerKinds?.some(
    (one) => isKind(one, kind) && (backend === undefined || one.backends.includes(backend)),
  );
  return hosts === true ? undefined : `cannot host ${kind}`;
}

/** A host that takes files says so once for all of them: `module:*`. */
function isKind({ kind }: ProviderKindInfo, wanted: string): boolean {
  return kind.endsWith(":*") ? wanted.startsWith(kind.slice(0, -1)) : kind === wanted;
}

function livingOn(node: NodeView): number {
  return [...node.providers.values()].filter(({ status }) => !endedStatuses.has(status)).length;
}

function wrong(field: string, message: string, fix: string): Failure {
  return new Failure("INVALID_REQUEST", message, { fix, details: { fields: [field] } });
}
