import { viewLimits } from "../limits.ts";
import type { Fact, FactData, FactKind, FactReplay } from "../protocol/facts.ts";
import { auditRecords } from "./audit.ts";
import type { InstanceView, NodeView, ProviderView } from "./view.ts";

/** A fact without the frame that its speaker puts around it. */
export type Saying = {
  [K in FactKind]: { kind: K; at: string; cause?: string; data: FactData<K> };
}[FactKind];

/**
 * The present facts of a node: the fewest that, applied to a view that knows nothing, give this view again.
 */
export function* tellAgain(node: NodeView): Generator<Saying> {
  const epochStart = new Date(node.epoch).toISOString();
  if (node.joined !== undefined) yield { kind: "node.joined", at: epochStart, data: node.joined };
  for (const certificate of node.certificates)
    yield { kind: "node.trusted", at: epochStart, data: { certificate } };
  for (const provider of node.providers.values()) yield tellProvider(provider);
  for (const [digest, sizeBytes] of node.modules)
    yield { kind: "module.stored", at: epochStart, data: { digest, sizeBytes } };
  for (const instance of node.instances.values()) {
    if (instance.status !== "stopped") yield* tellInstance(instance);
  }
  // In the order in which they stopped, for that order decides which is forgotten next.
  for (const instanceId of node.stopped) {
    const instance = node.instances.get(instanceId);
    if (instance !== undefined) yield* tellInstance(instance);
  }
  if (node.status === "draining") yield { kind: "node.draining", at: epochStart, data: {} };
  if (node.status === "left") yield { kind: "node.left", at: epochStart, data: { reason: "left" } };
}

/** The present facts of a node in messages that a server with the default payload limit takes. */
export function replayOf(
  node: NodeView,
  { lattice, at, replayId }: Pick<FactReplay, "lattice" | "at" | "replayId">,
): FactReplay[] {
  const frame = { lattice, node: node.nodeId, epoch: node.epoch, seq: node.seq };
  const parts = inParts([...tellAgain(node)].map((saying) => ({ ...frame, ...saying }) as Fact));
  return parts.map((facts, index) => ({
    ...frame,
    at,
    kind: "node.replay",
    replayId,
    index,
    count: parts.length,
    facts,
  }));
}

function inParts(facts: readonly Fact[]): Fact[][] {
  const parts: Fact[][] = [[]];
  let bytes = 0;
  for (const fact of facts) {
    const size = JSON.stringify(fact).length;
    if (bytes > 0 && bytes + size > viewLimits.replayPartBytes) {
      parts.push([]);
      bytes = 0;
    }
    bytes += size;
    parts.at(-1)?.push(fact);
  }
  return parts;
}

function* tellInstance(instance: InstanceView): Generator<Saying> {
  const { restarts, since: at, lastCrash } = instance;
  const { instanceId, createdAt } = instance.spec;
  const common = { instanceId, restarts };
  const spec = { ...instance.spec, capabilities: [...instance.assignments.values()] };
  const firstStart = instance.status === "starting" && restarts === 0;
  yield { kind: "instance.starting", at: firstStart ? at : createdAt, data: { spec, restarts } };
  if (lastCrash !== undefined)
    // An instance that is still crashed is so since that fact was stated, not since the crash itself.
    yield {
      kind: "instance.crashed",
      at: instance.status === "crashed" ? at : lastCrash.at,
      data: { ...common, crash: lastCrash },
    };
  if (instance.yields) yield { kind: "instance.yielding", at, data: { instanceId } };
  yield* auditRecords(instance);
  const reason = instance.reason ?? "";
  switch (instance.status) {
    case "starting":
      if (!firstStart) yield { kind: "instance.restarting", at, data: { ...common, reason } };
      return;
    case "running":
      yield { kind: "instance.running", at, data: common };
      return;
    case "backing-off":
      if (instance.backoff !== undefined)
        yield { kind: "instance.backing-off", at, data: { ...common, ...instance.backoff } };
      return;
    case "gave-up":
      yield { kind: "instance.gave-up", at, data: { ...common, reason } };
      return;
    case "stopped":
      yield {
        kind: "instance.stopped",
        at,
        ...(instance.cause === undefined ? {} : { cause: instance.cause }),
        data: { ...common, reason },
      };
      return;
    case "crashed":
    case "unreachable":
      return;
  }
}

function tellProvider(provider: ProviderView): Saying {
  const { info, since: at, reason = "" } = provider;
  switch (provider.status) {
    case "starting":
      return { kind: "provider.starting", at, data: info };
    case "available":
      return { kind: "provider.available", at, data: info };
    case "unwell":
      return { kind: "provider.unwell", at, data: { ...info, reason } };
    case "draining":
      return { kind: "provider.draining", at, data: info };
    case "gave-up":
      return { kind: "provider.gave-up", at, data: { ...info, reason } };
    case "failed":
      return { kind: "provider.failed", at, data: { ...info, reason } };
    case "stopped":
      return { kind: "provider.stopped", at, data: { ...info, reason } };
  }
}
