import type { Subscription } from "../../src/bus/bus.ts";
import { type AnswerOf, serve } from "../../src/bus/serve.ts";
import type { NodeView } from "../../src/lattice/view.ts";
import { lostCallLimits } from "../../src/limits.ts";
import type { Fact } from "../../src/protocol/facts.ts";
import type { CallRoute, LostCallsAnswer, LostCallsQuestion } from "../../src/protocol/lost-calls.ts";
import { askNode } from "./ask-node.ts";
import type { Desk } from "./desk.ts";
import type { PresenceStatus } from "./presence.ts";
import { isOutOfReach } from "./summaries.ts";

type Target = LostCallsQuestion["targets"][number];
type NodeAnswer = AnswerOf<"node.call.held">;

/** A node's part in a judgement: what it serves of what is asked about, and what it said. */
interface Witness {
  readonly nodeId: string;
  readonly serves: ReadonlySet<string>;
  readonly said: NodeAnswer | undefined;
}

/** What was lost, and which calls went with it. */
export interface LostCalls {
  heard(fact: Fact): void;
  /** Something of that node may have changed: its life, above all. */
  changed(nodeId: string): void;
  judged(nodeId: string, status: PresenceStatus): void;
  serve(): Subscription;
}

/**
 * Judges calls that take long. A call is lost only if its target was hit by a loss since it began, and each node in
 * reach that serves the target says that it does not hold the call: a guest that spins or waits is never given up for
 * a loss elsewhere, nor is one whose node cannot say.
 */
export function createLostCalls(desk: Desk): LostCalls {
  const { view, clock } = desk;
  /** When a target was last hit, and by the loss of what node; `undefined` when by several. The oldest come first. */
  const losses = new Map<string, { atMs: number; nodeId: string | undefined }>();
  /** What is served by nodes that are lost now. */
  const gone = new Map<string, ReadonlySet<string>>();
  /** The life of each node that is known, in whose place the next one comes. */
  const lives = new Map<string, NodeView>();

  function hit({
    nodeId,
    instances,
    providers,
  }: Pick<NodeView, "nodeId" | "instances" | "providers">): Set<string> {
    const atMs = clock.now();
    const served = new Set<string>();
    for (const { spec } of instances.values()) {
      served.add(keyOf("guest", spec.instanceId));
      if (spec.name !== undefined) served.add(keyOf("guest", spec.name));
    }
    for (const provider of providers.keys()) served.add(keyOf("provider", provider));
    for (const key of served) {
      const former = losses.get(key);
      losses.delete(key);
      losses.set(key, {
        atMs,
        nodeId: former === undefined || former.nodeId === nodeId ? nodeId : undefined,
      });
    }
    // Nodes that presence has forgotten by now.
    for (const known of lives.keys()) {
      if (view.nodes.has(known)) continue;
      lives.delete(known);
      gone.delete(known);
    }
    for (const [key, loss] of losses) {
      if (losses.size <= lostCallLimits.lossesMax && loss.atMs > atMs - lostCallLimits.lossMs) break;
      losses.delete(key);
    }
    return served;
  }

  function isDoubted({ kind, target, waitedMs }: CallRoute & { waitedMs: number }): boolean {
    const key = keyOf(kind, target);
    const since = clock.now() - waitedMs - lostCallLimits.slackMs;
    if ((losses.get(key)?.atMs ?? Number.NEGATIVE_INFINITY) >= since) return true;
    return [...gone.values()].some((served) => served.has(key));
  }

  async function judge({ targets }: LostCallsQuestion): Promise<AnswerOf<"lost">> {
    await desk.whenReady();
    const doubted = targets.filter(isDoubted);
    const asked = doubted.filter(({ calls }) => calls.length > 0);
    const lost = asked.length === 0 ? [] : judgeAll(asked, await askWitnesses(desk, asked));
    return { doubted: doubted.map(({ kind, target }) => ({ kind, target })), lost };
  }

  function judgeAll(asked: readonly Target[], witnesses: readonly Witness[]): LostCallsAnswer["lost"] {
    const held = new Set(witnesses.flatMap(({ said }) => said?.held ?? []));
    return asked.flatMap((about) => {
      const key = keyOf(about.kind, about.target);
      const serving = witnesses.filter(({ serves }) => serves.has(key));
      if (!serving.every(({ said }) => said !== undefined && !isUnsure(said, key))) return [];
      return about.calls
        .filter((call) => isDoubted({ ...about, waitedMs: call.waitedMs }) && !held.has(call.token))
        .map(({ token, waitedMs }) => ({ token, safeToRepeat: cameTooLate(about, waitedMs, serving) }));
    });
  }

  /** Whether every copy was in one cell, which was stuck with an earlier call when this one came and until it was ended. */
  function cameTooLate({ kind, target }: Target, waitedMs: number, serving: readonly Witness[]): boolean {
    const [only, ...others] = serving;
    if (only?.said === undefined || others.length > 0 || kind !== "guest") return false;
    // Another one that served it may be lost by now.
    if (losses.get(keyOf(kind, target))?.nodeId !== only.nodeId) return false;
    const stuck = only.said.stuck.find((one) => one.target === target);
    if (stuck === undefined) return false;
    return waitedMs > stuck.endedMs && waitedMs + lostCallLimits.stuckMarginMs < stuck.sinceMs;
  }

  return {
    heard(fact) {
      const node = view.nodes.get(fact.node);
      if (node === undefined) return;
      if (fact.kind === "node.left") hit(node);
      else if (fact.kind === "cell.lost" || fact.kind === "engine.lost")
        hit({ nodeId: node.nodeId, instances: node.instances, providers: new Map() });
    },
    changed(nodeId) {
      const former = lives.get(nodeId);
      const present = view.nodes.get(nodeId);
      if (present === undefined) return;
      lives.set(nodeId, present);
      if (former !== undefined && former.epoch !== present.epoch) hit(former);
    },
    judged(nodeId, status) {
      const node = view.nodes.get(nodeId);
      if (status === "lost" && node !== undefined) gone.set(nodeId, hit(node));
      else gone.delete(nodeId);
    },
    serve: () => serve(desk.bus, clock, "lost", { lattice: desk.lattice }, judge, "control-plane"),
  };
}

/** Asks every node in reach that serves one of these targets, and those of which something is missing in the view. */
async function askWitnesses(desk: Desk, asked: readonly Target[]): Promise<Witness[]> {
  const keys = new Set(asked.map(({ kind, target }) => keyOf(kind, target)));
  const question = {
    guests: asked.filter(({ kind }) => kind === "guest").map(({ target }) => target),
    providers: asked.filter(({ kind }) => kind === "provider").map(({ target }) => target),
    tokens: asked.flatMap(({ calls }) => calls.map(({ token }) => token)),
  };
  const nodes = [...desk.view.nodes.values()].filter(({ nodeId }) => !isOutOfReach(desk, nodeId));
  const serving = nodes
    .map((node) => ({
      nodeId: node.nodeId,
      serves: node.knowledge === "gap" ? keys : servedOf(node, keys),
    }))
    .filter(({ serves }) => serves.size > 0);
  return Promise.all(
    serving.map(async ({ nodeId, serves }) => {
      const timeoutMs = lostCallLimits.nodeTimeoutMs;
      const said = await askNode(desk, nodeId, "node.call.held", question, timeoutMs).catch(() => undefined);
      return { nodeId, serves, said };
    }),
  );
}

function servedOf({ instances, providers }: NodeView, keys: ReadonlySet<string>): Set<string> {
  const served = new Set<string>();
  const add = (key: string) => keys.has(key) && served.add(key);
  for (const { spec } of instances.values()) {
    add(keyOf("guest", spec.instanceId));
    if (spec.name !== undefined) add(keyOf("guest", spec.name));
  }
  for (const provider of providers.keys()) add(keyOf("provider", provider));
  return served;
}

function isUnsure({ unsure }: NodeAnswer, key: string): boolean {
  return unsure.some(({ kind, target }) => keyOf(kind, target) === key);
}

function keyOf(kind: CallRoute["kind"], target: string): string {
  return `${kind} ${target}`;
}
