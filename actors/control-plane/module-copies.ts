import { createHash } from "node:crypto";
import type { Timer } from "../../src/clock.ts";
import { allInstances } from "../../src/lattice/view.ts";
import { controlPlaneLimits, moduleCopyLimits } from "../../src/limits.ts";
import { asFailure } from "../../src/protocol/errors.ts";
import type { Fact } from "../../src/protocol/facts.ts";
import { createTurns } from "../../src/modules/turns.ts";
import { askNode } from "./ask-node.ts";
import type { Desk } from "./desk.ts";
import { placeableNodes } from "./placeable-nodes.ts";
import { place } from "./place.ts";
import { holdersFor, holdersOf } from "./store-module.ts";

/** Sees to it that a module does not get lost with its node. */
export interface ModuleCopies {
  heard(fact: Fact): void;
  /** A node came, went, or told its facts again: any module may have too few holders now. */
  lookAtAll(): void;
  /** Resolves when nothing is on its way; nothing new begins. */
  stop(): Promise<void>;
}

/**
 * Has modules copied to a second node in the background: those of instances that are to be relocated, as long as one
 * lives, and those that were just stored, for whoever starts them later. Copies of the latter are not made again after
 * an eviction, or two full caches would hand each other their modules for ever. The control plane that leads alone acts,
 * and a node that holds a module already answers at once.
 */
export function createModuleCopies(desk: Desk): ModuleCopies {
  const { clock } = desk;
  const inTurn = createTurns(moduleCopyLimits.atOnce);
  /** Modules to look at, with whether they are worth a copy although nobody runs them. */
  const due = new Map<string, boolean>();
  /** Digest → when its next copy may be made. */
  const notBefore = new Map<string, number>();
  const underWay = new Map<string, Promise<void>>();
  let all = false;
  let timer: Timer;
  let lookAt = Infinity;
  let isStopped = false;

  const later = (ms: number) => {
    const at = clock.now() + ms;
    if (isStopped || lookAt <= at) return;
    clock.clearTimeout(timer);
    lookAt = at;
    timer = clock.setTimeout(look, ms);
  };

  function look(): void {
    lookAt = Infinity;
    const now = clock.now();
    for (const [digest, at] of notBefore) if (at <= now) notBefore.delete(digest);
    const found = new Map(due);
    due.clear();
    const everything = all;
    all = false;
    if (isStopped || !desk.peers.leads()) return;
    if (everything) for (const digest of relocatable(desk)) found.set(digest, true);
    for (const [digest, isWanted] of found) {
      if (underWay.has(digest) || holdersOf(desk, digest).length === 0) continue;
      if (holdersOf(desk, digest).length >= controlPlaneLimits.moduleCopies) continue;
      if (!isWanted && !isIdle(desk, digest)) continue;
      if (notBefore.has(digest)) {
        due.set(digest, isWanted);
        continue;
      }
      begin(digest);
    }
    const next = Math.min(...[...due.keys()].map((digest) => notBefore.get(digest) ?? now));
    if (due.size > 0) later(next - now);
  }

  function begin(digest: string): void {
    const copying = inTurn(async () => {
      const target = isStopped ? undefined : targetOf(desk, digest);
      if (target === undefined) return;
      notBefore.set(digest, clock.now() + moduleCopyLimits.againMs);
      try {
        const question = { digest, holders: holdersFor(desk, digest, target) };
        await askNode(desk, target, "node.module.pull", question, moduleCopyLimits.pullMs);
        desk.log.info({ digest, node: target }, "a module has a second holder");
      } catch (error) {
        desk.log.warn({ digest, node: target, reason: asFailure(error).message }, "a module was not copied");
        due.set(digest, true);
        later(moduleCopyLimits.againMs);
      }
    }).finally(() => underWay.delete(digest));
    underWay.set(digest, copying);
  }

  const note = (digest: string, isWanted: boolean) => {
    due.set(digest, isWanted || due.get(digest) === true);
    later(moduleCopyLimits.gatherMs);
  };
  const lookAtAll = () => {
    all = true;
    later(moduleCopyLimits.gatherMs);
  };

  return {
    heard(fact) {
      if (fact.kind === "instance.starting" && fact.data.spec.onNodeLoss === "relocate")
        note(fact.data.spec.moduleHash, true);
      else if (fact.kind === "module.stored") note(fact.data.digest, false);
      else if (fact.kind === "module.evicted" && relocatable(desk).has(fact.data.digest))
        note(fact.data.digest, true);
      else if (fact.kind === "node.joined") lookAtAll();
    },
    lookAtAll,
    async stop() {
      isStopped = true;
      clock.clearTimeout(timer);
      await Promise.all(underWay.values());
    },
  };
}

/** Modules that are needed elsewhere when their node is lost. */
function relocatable(desk: Desk): Set<string> {
  const digests = new Set<string>();
  for (const { spec, status } of allInstances(desk.view))
    if (spec.onNodeLoss === "relocate" && status !== "stopped" && status !== "gave-up")
      digests.add(spec.moduleHash);
  return digests;
}

/** Whether no instance runs it: it was stored for later, by whoever said that a few nodes should have it. */
function isIdle(desk: Desk, digest: string): boolean {
  for (const { spec } of allInstances(desk.view)) if (spec.moduleHash === digest) return false;
  return true;
}

/** A node that takes work and lacks the module, on another machine if there is one; by rendezvous hashing. */
function targetOf(desk: Desk, digest: string): string | undefined {
  const holders = new Set(holdersOf(desk, digest));
  if (holders.size === 0 || holders.size >= controlPlaneLimits.moduleCopies) return undefined;
  const hostOf = (nodeId: string) => desk.view.nodes.get(nodeId)?.joined?.hostname;
  const hosts = new Set([...holders].map(hostOf));
  const rank = (nodeId: string) => createHash("sha256").update(`${digest} ${nodeId}`).digest("hex");
  const [best] = place(placeableNodes(desk), { requires: {} })
    .candidates.filter(({ nodeId }) => !holders.has(nodeId))
    .map(({ nodeId }) => ({ nodeId, key: `${hosts.has(hostOf(nodeId)) ? "0" : "1"}${rank(nodeId)}` }))
    .toSorted((one, other) => (one.key > other.key ? -1 : 1));
  return best?.nodeId;
}
