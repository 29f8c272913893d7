import { createHash } from "node:crypto";
import type { Timer } from "../../src/clock.ts";
import { type InstanceView, isOrphan, isPlaced } from "../../src/lattice/view.ts";
import { controlPlaneLimits, messageLimits } from "../../src/limits.ts";
import { asFailure } from "../../src/protocol/errors.ts";
import type { InstanceSpec } from "../../src/protocol/instance-spec.ts";
import { type AskedStarts, createAskedStarts } from "./asked-starts.ts";
import { recordsOf } from "./audit.ts";
import type { Desk } from "./desk.ts";
import { type Candidate, foremostBySpread, place, take } from "./place.ts";
import { placeableNodes, wantedOf } from "./placeable-nodes.ts";
import type { CountingGrants } from "./signed-grants.ts";
import { grantsOf, startOnNode } from "./signed-starts.ts";
import type { Recall } from "./recall.ts";
import { holdersFor } from "./store-module.ts";
import { instancesOf, isOutOfReach } from "./summaries.ts";

const { relocateGatherMs, relocateRefusedMs } = controlPlaneLimits;

/** Brings back what a lost node ran. */
export interface Relocation {
  /** Something happened that may have left instances without a node, or made room for them. */
  look(): void;
  /** Resolves when nothing is on its way; nothing new begins. */
  stop(): Promise<void>;
}

/**
 * Starts instances of lost nodes elsewhere, under the same id and the next incarnation: those whose start command
 * allowed it anywhere, the others on their own node once it has begun a new life. Each look is a reaction to a fact, and
 * the control plane that leads acts, after it has asked the others what they have heard of the lives that are over. Where an
 * instance goes depends on its id and the nodes that fit (rendezvous hashing), so that two control planes that both believe to
 * lead choose the same node, which takes it once.
 */
export function createRelocation(desk: Desk, recall: Recall): Relocation {
  const underWay = new Set<string>();
  /** Refused for good, and not asked for again for a while: by instance, until when. */
  const refused = new Map<string, number>();
  const starts = createAskedStarts(desk);
  const batches = new Set<Promise<void>>();
  let agreeing: Promise<void> | undefined;
  let timer: Timer;
  /** When the timer fires, ms since 1970. */
  let dueAt = Number.POSITIVE_INFINITY;
  let isStopped = false;

  function act(): void {
    desk.clock.clearTimeout(timer);
    dueAt = Number.POSITIVE_INFINITY;
    if (isStopped || !desk.peers.leads()) return;
    const all = someAreLost(desk) ? instancesOf(desk).filter((instance) => isHomeless(desk, instance)) : [];
    const now = desk.clock.now();
    const ids = new Set(all.map(({ spec }) => spec.instanceId));
    starts.prune(ids);
    for (const instanceId of refused.keys()) if (!ids.has(instanceId)) refused.delete(instanceId);
    const homeless = all.filter(({ spec: { instanceId } }) => {
      const isBusy = underWay.has(instanceId) || starts.isTaken(instanceId);
      return !isBusy && (refused.get(instanceId) ?? 0) <= now;
    });
    const agreed = homeless.filter((instance) => recall.isAgreed(instance));
    if (agreed.length < homeless.length) agree();
    if (agreed.length === 0) return;
    const groups = grouped(desk, agreed, starts);
    for (const group of groups) {
      for (const { spec } of group.instances) {
        underWay.add(spec.instanceId);
        starts.ask(spec.instanceId, group.target, group.incarnation);
      }
      const batch = startGroup(desk, group).then(({ isAnswered, again, refusedIds, never }) => {
        for (const { spec } of group.instances) {
          underWay.delete(spec.instanceId);
          if (isAnswered) starts.answer(spec.instanceId, !refusedIds.has(spec.instanceId));
        }
        for (const instanceId of never) refused.set(instanceId, desk.clock.now() + relocateRefusedMs);
        batches.delete(batch);
        // What one node could not take another may: the view has changed by then.
        if (again) later(controlPlaneLimits.relocateRetryMs);
        else if (never.length > 0) later(relocateRefusedMs);
      });
      batches.add(batch);
    }
  }

  /** Acts again when the others have said what they know. */
  function agree(): void {
    agreeing ??= recall.ask().then(() => {
      agreeing = undefined;
      act();
    });
  }

  function later(ms: number): void {
    if (isStopped || desk.clock.now() + ms >= dueAt) return;
    desk.clock.clearTimeout(timer);
    dueAt = desk.clock.now() + ms;
    timer = desk.clock.setTimeout(act, ms);
  }

  const look = () => later(relocateGatherMs);

  return {
    look,
    async stop() {
      isStopped = true;
      desk.clock.clearTimeout(timer);
      await Promise.all(batches);
    },
  };
}

/** Whether there can be anything to do: most looks find that there is not. */
function someAreLost({ view, presence }: Desk): boolean {
  if (view.orphans.size > 0) return true;
  return [...view.nodes.values()].some(
    ({ nodeId, instances }) => instances.size > 0 && presence.statusOf(nodeId) === "lost",
  );
}

/** Whether nobody runs it although nobody ended it, and it may be started again. */
function isHomeless(desk: Desk, instance: InstanceView): boolean {
  const { status, spec, nodeId } = instance;
  if (status !== "running" && status !== "starting" && status !== "backing-off") return false;
  const mayReturn =
    isOrphan(desk.view, instance) ||
    (spec.onNodeLoss === "relocate" && desk.presence.statusOf(nodeId) === "lost");
  // What a node has invented is not made true elsewhere.
  return mayReturn && isPlaced(desk.view, instance);
}

/** Instances that go to the same node with the same template. */
interface Group {
  readonly target: string;
  readonly incarnation: number;
  readonly template: Omit<InstanceSpec, "instanceId" | "incarnation">;
  readonly instances: readonly InstanceView[];
  /** Of the grants that they keep. */
  readonly grantIds: ReadonlyMap<string, CountingGrants["grantIds"]>;
}

/** A group that is still being filled. */
interface OpenGroup extends Omit<Group, "instances" | "grantIds"> {
  readonly instances: InstanceView[];
  readonly grantIds: Map<string, CountingGrants["grantIds"]>;
}

function grouped(desk: Desk, homeless: readonly InstanceView[], starts: AskedStarts): Group[] {
  const groups = new Map<string, OpenGroup>();
  const unplaced = new Map(homeless.map((instance) => [instance.spec.instanceId, instance]));
  const nodes = placeableNodes(desk);
  const candidatesFor = new Map<string, Map<string, Candidate>>();
  for (const instance of homeless) {
    const { instanceId, incarnation: _, placement: __, ...spec } = instance.spec;
    const grants = grantsOf(desk, instance);
    const template = { ...spec, capabilities: [...grants.assignments] };
    const wanted = wantedOf(desk, spec);
    // Copies are counted only where they matter, to spread them: that looks at every instance of the view.
    const copiesOf = wanted.spread === undefined ? [] : [spec.name ?? "", spec.moduleHash];
    const alike = JSON.stringify([wanted, ...copiesOf]);
    const seen = () => (wanted.spread === undefined ? nodes : placeableNodes(desk, spec, unplaced));
    const candidates =
      candidatesFor.get(alike) ?? new Map(place(seen(), wanted).candidates.map((one) => [one.nodeId, one]));
    candidatesFor.set(alike, candidates);
    const target = targetOf(desk, instance, candidates);
    if (target === undefined) continue;
    const chosen = candidates.get(target);
    if (chosen !== undefined) take(candidates.values(), chosen);
    const size = groups.size;
    const next = starts.incarnationFor(instanceId, target);
    const key = `${target} ${next} ${instance.nodeId} ${JSON.stringify(template)}`;
    const open = groups.get(key);
    if (open !== undefined && open.instances.length < messageLimits.startCountMax) {
      open.instances.push(instance);
      open.grantIds.set(instanceId, grants.grantIds);
    } else {
      if (open !== undefined) groups.set(`${key} ${size}`, open);
      const grantIds = new Map([[instanceId, grants.grantIds]]);
      groups.set(key, { target, incarnation: next, template, instances: [instance], grantIds });
    }
  }
  return [...groups.values()];
}

/**
 * The node whose hash with the instance's id is the highest, of those that fit and that come first by the label that
 * copies are spread over; its own, where it may only be there.
 */
function targetOf(
  desk: Desk,
  { spec, nodeId }: InstanceView,
  candidates: ReadonlyMap<string, Candidate>,
): string | undefined {
  if (spec.onNodeLoss === "stay") {
    return candidates.has(nodeId) && !isOutOfReach(desk, nodeId) ? nodeId : undefined;
  }
  let best: { nodeId: string; rank: string } | undefined;
  // A node that came back with an older copy refuses another one; elsewhere the new one can take its place.
  const free = [...candidates.values()].filter((one) => !hasCopy(desk, one.nodeId, spec.instanceId));
  for (const one of foremostBySpread(free)) {
    const rank = createHash("sha256").update(`${spec.instanceId} ${one.nodeId}`).digest("hex");
    if (best === undefined || rank > best.rank) best = { nodeId: one.nodeId, rank };
  }
  return best?.nodeId;
}

function hasCopy({ view }: Desk, nodeId: string, instanceId: string): boolean {
  const copy = view.nodes.get(nodeId)?.instances.get(instanceId);
  return copy !== undefined && copy.status !== "stopped";
}

/** What a node made of a group: what it refused and the rest may be tried again, except what it refused for good. */
interface StartsAnswer {
  readonly isAnswered: boolean;
  readonly again: boolean;
  readonly refusedIds: ReadonlySet<string>;
  readonly never: readonly string[];
}

async function startGroup(
  desk: Desk,
  { target, incarnation, template, instances, grantIds }: Group,
): Promise<StartsAnswer> {
  const [first] = instances;
  if (first === undefined) return { isAnswered: true, again: false, refusedIds: new Set(), never: [] };
  const instanceIds = instances.map(({ spec }) => spec.instanceId);
  const what = { from: first.nodeId, to: target, count: instances.length, name: template.name };
  try {
    const holders = holdersFor(desk, template.moduleHash, target);
    const kept = { from: first.nodeId, grantIds, ...recordsOf(instances) };
    const copies = { template, instanceIds, incarnation, holders, ...kept };
    const { failed } = await startOnNode(desk, target, copies, controlPlaneLimits.nodeStartMs);
    const { code, message: reason } = failed[0]?.error ?? {};
    desk.log.info({ ...what, failed: failed.length, code, reason }, "instances were started again elsewhere");
    const never = failed.filter(({ error }) => error.retry === "never").map(({ instanceId }) => instanceId);
    const refusedIds = new Set(failed.map(({ instanceId }) => instanceId));
    return { isAnswered: true, again: failed.length > never.length, refusedIds, never };
  } catch (error) {
    const { code, message } = asFailure(error);
    desk.log.warn({ ...what, code, reason: message }, "instances could not be started elsewhere");
    return { isAnswered: false, again: true, refusedIds: new Set(), never: [] };
  }
}
