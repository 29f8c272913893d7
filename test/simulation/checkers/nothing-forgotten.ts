import type { Fact } from "../../../src/protocol/facts.ts";
import type { Look } from "../look.ts";
import type { Checker } from "../observations.ts";
import { hasRoom, latest } from "../truth.ts";

/** What is known of an id that one client commands. */
type Wish = "alive" | "gone" | "unknown";

/** Follows what was acknowledged, and holds the end against it. */
export interface Ledger {
  readonly checker: Checker;
  /** P2, P6, P12: what was acknowledged is so, once all is healed and calm. */
  checkEnd(): void;
}

/** What a node has said of an instance of that name, and in which fact. */
interface Said {
  readonly host: string;
  readonly epoch: number;
  readonly seq: number;
  readonly name: string | undefined;
}

const changes: ReadonlySet<string> = new Set([
  "ctl.instance.start",
  "ctl.instance.stop",
  "ctl.instance.restart",
  "ctl.instance.scale",
]);

/**
 * An instance whose start was acknowledged and that nobody stopped lives, as long as its node does; and also without its node,
 * where it may be relocated and a control plane that still lives has heard of it. What was stopped lives nowhere.
 */
export function followLedger(look: Look, planes: readonly string[]): Ledger {
  const wishes = new Map<string, Wish>();
  const counts = new Map<string, number | undefined>();
  /** Ids that a command is about which was not answered yet: it may have any effect. */
  const underWay = new Set<string>();
  /** Instances whose latest copy ended with its node's orderly leave, which takes along what nobody took over. */
  const ended = new Map<string, string>();

  function settle(name: string, question: Record<string, unknown>, isDone: boolean): void {
    const id = question["instanceId"] as string | undefined;
    const group = question["name"] as string | undefined;
    if (id !== undefined) {
      underWay.delete(id);
      const wish = name === "ctl.instance.stop" ? "gone" : "alive";
      wishes.set(id, isDone && wishes.get(id) !== "unknown" ? wish : "unknown");
    } else if (
      group !== undefined &&
      (livingOf(group).length > (question["count"] as number) || isAmongLost(group))
    )
      // Copies on nodes that the control plane did not know of, or had lost, stay out of its count.
      counts.set(group, undefined);
    else if (group !== undefined)
      counts.set(group, isDone ? ((question["count"] as number | undefined) ?? 1) : undefined);
  }

  function livingOf(name: string): string[] {
    return [...look.truth.instanceIds()].filter(
      (id) => look.truth.copiesOf(id)[0]?.instance.spec.name === name,
    );
  }

  /** Whether a node that died ran some of that name, which may come back from there. */
  function isAmongLost(name: string): boolean {
    return [...hanging.values()].some((lost) => lost.name === name);
  }

  /** A stop on a life of a node that is over, of which no control plane knows any more, may be undone by an earlier copy. */
  function forgetStops(): void {
    for (const [instanceId, { host, epoch, seq, name }] of stops) {
      const node = look.truth.nodes.get(host);
      if ((node?.isAlive === true && node.epoch === epoch) || isKnown(host, epoch, seq)) continue;
      stops.delete(instanceId);
      wishes.set(instanceId, "unknown");
      if (name !== undefined) counts.set(name, undefined);
    }
  }

  /** Whether some node may run it: a drained one takes nothing, not even what it ran before, nor does a full one. */
  function hasPlace({ host, stays }: { host: string; stays: boolean }): boolean {
    return [...look.truth.nodes.values()].some((node) => hasRoom(node) && (!stays || node.host === host));
  }

  /** Whether a control plane that lives has heard, in order, that this copy was there. */
  function isKnown(host: string, epoch: number, seq: number): boolean {
    return planes.some((plane) => {
      const known = knowledge.get(`${plane} ${host} ${epoch}`);
      return known !== undefined && known >= seq;
    });
  }
  const knowledge = new Map<string, number>();
  /** Control plane and node of which it was told something else than was said: until that is told again, nothing is known. */
  const garbled = new Set<string>();

  function isToldToAll(host: string, epoch: number, seq: number): boolean {
    return planes.every((plane) => (knowledge.get(`${plane} ${host} ${epoch}`) ?? 0) >= seq);
  }

  function checkAlive(instanceId: string): void {
    if (look.truth.copiesOf(instanceId).length > 0) return;
    const reason = ended.get(instanceId);
    if (reason !== undefined)
      look.fail(`${instanceId} was started, nobody stopped it, and it is nowhere: ${reason}`);
  }

  const checker: Checker = (seen) => {
    if (seen.type === "command.sent" && changes.has(seen.name)) settleSent(seen.question);
    if (seen.type === "command.settled" && changes.has(seen.name))
      settle(seen.name, seen.question, seen.outcome === "done");
    if ((seen.type === "began" || seen.type === "ended") && seen.kind === "control-plane")
      for (const key of knowledge.keys()) if (key.startsWith(`${seen.host} `)) knowledge.delete(key);
    if (seen.type === "ended" && seen.kind === "control-plane") forgetStops();
    if (seen.type === "ended" && seen.kind === "node") endNode(seen.host, seen.how);
    if (seen.type === "garbled") {
      garbled.add(`${seen.host} ${seen.node}`);
      // Whoever was lied to about it acts on that until it hears better.
      wishes.set(seen.instanceId, "unknown");
    }
    if (seen.type === "heard") {
      const key = `${seen.host} ${seen.said.node}`;
      if (seen.said.kind === "node.replay" || seen.said.kind === "node.joined") garbled.delete(key);
      if (garbled.has(key)) return;
      const heard = look.hearing.of(seen.host, seen.said.node);
      if (heard !== undefined && !heard.isGap) knowledge.set(`${key} ${heard.epoch}`, heard.seq);
    }
    if (seen.type === "stated") stateEnd(seen.host, seen.fact);
  };

  /** A command under way may have any effect. */
  function settleSent(question: Record<string, unknown>): void {
    const id = question["instanceId"] as string | undefined;
    const group = question["name"] as string | undefined;
    if (id !== undefined) underWay.add(id);
    else if (group !== undefined) counts.set(group, undefined);
  }

  function stateEnd(host: string, fact: Fact): void {
    if (fact.kind !== "instance.stopped") {
      if (fact.kind !== "instance.starting") return;
      ended.delete(fact.data.spec.instanceId);
      hanging.delete(fact.data.spec.instanceId);
      stops.delete(fact.data.spec.instanceId);
      return;
    }
    const { instanceId, reason } = fact.data;
    const node = look.truth.nodes.get(host);
    const name = node === undefined ? undefined : latest(node, instanceId)?.spec.name;
    if (fact.cause === undefined) stops.delete(instanceId);
    else stops.set(instanceId, { host, epoch: fact.epoch, seq: fact.seq, name });
    if (reason === "its node leaves") ended.delete(instanceId);
    // It made room for a copy whose node is gone by now: whether that one comes back depends on who heard of it.
    else if (hanging.has(instanceId) && fact.cause === undefined) return;
    else if (look.truth.copiesOf(instanceId).length === 0)
      ended.set(instanceId, `it ended on ${host}: ${reason}`);
  }

  /** What ran there has to come back from somewhere, where that was asked for and somebody knows. */
  function endNode(host: string, how: "killed" | "left"): void {
    const node = look.truth.nodes.get(host);
    if (node === undefined) return;
    for (const [instanceId, said] of node.instances) {
      const copy = said.at(-1);
      // Nobody can hear any more that it was stopped, and of those that did none may be there when it matters.
      if (
        copy?.cause !== undefined &&
        copy.status === "stopped" &&
        !isToldToAll(host, node.epoch, copy.seq)
      ) {
        wishes.set(instanceId, "unknown");
        if (copy.spec.name !== undefined) counts.set(copy.spec.name, undefined);
      }
      if (how === "left") continue;
      if (copy === undefined || copy.status === "stopped") continue;
      ended.delete(instanceId);
      if (!(copy.status === "running" || copy.status === "starting" || copy.status === "backing-off"))
        continue;
      // What becomes of a later copy is what counts, also when that one is given up.
      if (
        look.truth
          .copiesOf(instanceId)
          .some(({ instance }) => instance.spec.incarnation > copy.spec.incarnation)
      )
        continue;
      const firstSeq = said.find(({ spec }) => spec.incarnation === copy.spec.incarnation)?.seq ?? 0;
      const stays = copy.spec.onNodeLoss === "stay";
      const { name } = copy.spec;
      hanging.set(instanceId, { host, epoch: node.epoch, seq: firstSeq, name, stays });
    }
  }
  const hanging = new Map<string, Said & { readonly stays: boolean }>();
  /** Of each instance that a command has stopped, the latest fact that says so. */
  const stops = new Map<string, Said>();

  return {
    checker,
    checkEnd() {
      for (const [instanceId, wish] of wishes) {
        if (underWay.has(instanceId)) continue;
        const copies = look.truth.copiesOf(instanceId);
        if (wish === "gone" && copies.length > 0)
          look.fail(
            `${instanceId} was stopped and lives on ${copies.map(({ node }) => node.host).join(", ")}`,
          );
        if (wish !== "alive" || copies.length > 0) continue;
        checkAlive(instanceId);
        const lost = hanging.get(instanceId);
        if (
          lost !== undefined &&
          ended.get(instanceId) === undefined &&
          hasPlace(lost) &&
          isKnown(lost.host, lost.epoch, lost.seq)
        )
          look.fail(
            `${instanceId} was lost with ${lost.host}, a control plane that lives knew of it, and it is nowhere`,
          );
      }
      for (const [name, count] of counts) {
        if (count === undefined) continue;
        const living = livingOf(name);
        if (living.length > count)
          look.fail(`${name} was scaled to ${count} and has ${living.length}: ${living.join(" ")}`);
      }
    },
  };
}
