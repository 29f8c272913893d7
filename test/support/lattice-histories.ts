import fc from "fast-check";
import { seededChance } from "../../src/chance.ts";
import { createSpeaker, type Speaker } from "../../src/lattice/speaker.ts";
import type { NodeView } from "../../src/lattice/view.ts";
import type { Fact, FactReplay } from "../../src/protocol/facts.ts";
import { InstanceSpec } from "../../src/protocol/instance-spec.ts";
import { virtualClock } from "./virtual-clock.ts";

/** What a node put on the bus. */
export type Saying = Fact | FactReplay;

const acts = [
  "start",
  "run",
  "crash",
  "back-off",
  "restart",
  "give-up",
  "stop",
  "assign",
  "revoke",
  "use",
  "deny",
  "provide",
  "provider-fails",
  "store",
  "evict",
  "drain",
  "heartbeat",
  "replay",
  "reborn",
] as const;

/** One thing that happens on one node. */
export interface Step {
  readonly node: number;
  readonly act: (typeof acts)[number];
  readonly which: number;
}

/** What happened on some nodes, in order. */
export const histories: fc.Arbitrary<Step[]> = fc.array(
  fc.record({ node: fc.nat({ max: 2 }), act: fc.constantFrom(...acts), which: fc.nat({ max: 3 }) }),
  { minLength: 1, maxLength: 60 },
);

/** What a network makes of messages: some are lost, some come twice, some come late. */
export const arrivals: fc.Arbitrary<(said: readonly Saying[]) => Saying[]> = fc
  .record({ seed: fc.nat(), loss: fc.double({ min: 0, max: 0.6, noNaN: true }), late: fc.nat({ max: 20 }) })
  .map(({ seed, loss, late }) => (said) => {
    const chance = seededChance(seed);
    return said
      .flatMap((saying, index) => {
        if (chance() < loss) return [];
        const copies = chance() < 0.2 ? 2 : 1;
        return Array.from({ length: copies }, () => ({
          saying,
          at: index + (chance() < 0.3 ? chance() * late : 0),
        }));
      })
      .toSorted((one, other) => one.at - other.at)
      .map(({ saying }) => saying);
  });

/** The nodes at the end of a history, everything they said, and what was true of each after each fact. */
export interface ToldHistory {
  readonly speakers: Map<string, Speaker>;
  readonly said: readonly Saying[];
  /** `node epoch seq` → the node's shape then. */
  readonly truths: Map<string, unknown>;
  /** What was said since the history ended or since the last call. */
  takeNew(): Saying[];
}

/** Plays a history on real speakers. */
export function tellHistory(history: readonly Step[]): ToldHistory {
  const clock = virtualClock(1_000_000);
  const said: Saying[] = [];
  const speakers = new Map<string, Speaker>();
  const truths = new Map<string, unknown>();
  const truth = (speaker: Speaker) => {
    const { nodeId, epoch, seq } = speaker.own();
    truths.set(`${nodeId} ${epoch} ${seq}`, shapeOf(speaker.own()));
  };
  const publish = (_subject: string, data: Uint8Array) =>
    void said.push(JSON.parse(Buffer.from(data).toString()) as Saying);
  let epochs = 0;
  const begin = (nodeId: string) => {
    epochs += 1;
    const lifeClock = { ...clock, now: () => 1_000_000 + epochs * 1_000 };
    const speaker = createSpeaker({ lattice: "default", nodeId, clock: lifeClock, publish });
    speaker.state("node.joined", {
      productVersion: "0",
      protocolVersion: "1.0",
      hostname: "h",
      pid: epochs,
      labels: {},
      guestKinds: ["wapc"],
      instancesMax: 9,
    });
    speakers.set(nodeId, speaker);
    truth(speaker);
    return speaker;
  };
  for (const step of history) {
    const nodeId = `node-${step.node}`;
    const speaker = step.act === "reborn" ? begin(nodeId) : (speakers.get(nodeId) ?? begin(nodeId));
    act(speaker, step);
    truth(speaker);
  }
  const end = said.length;
  let taken = end;
  return {
    speakers,
    truths,
    said: said.slice(0, end),
    takeNew() {
      const fresh = said.slice(taken);
      taken = said.length;
      return fresh;
    },
  };
}

const digestOf = (which: number) => `sha256:${String(which).repeat(64)}`;

function act(speaker: Speaker, { act, which }: Step): void {
  const instanceId = `i-${speaker.nodeId}-${which}`;
  const known = speaker.own().instances.get(instanceId);
  const common = { instanceId, restarts: known?.restarts ?? 0 };
  const info = { provider: `kv-${which}`, providerType: "kv", backend: "memory", version: "1" };
  const living = known !== undefined && known.status !== "stopped";
  switch (act) {
    case "reborn":
      return;
    case "start":
      if (living) return;
      return speaker.state("instance.starting", {
        spec: specOf(instanceId, which, (known?.spec.incarnation ?? 0) + 1),
        restarts: 0,
      });
    case "run":
      return living ? speaker.state("instance.running", common) : undefined;
    case "crash":
      if (!living) return;
      return speaker.state("instance.crashed", {
        ...common,
        crash: { reason: "trap", message: `crash ${which}`, at: new Date(1_000).toISOString() },
      });
    case "back-off":
      return living && known.status === "crashed"
        ? speaker.state("instance.backing-off", {
            ...common,
            attempt: which,
            delayMs: 5,
            until: new Date(2_000).toISOString(),
          })
        : undefined;
    case "restart":
      return living
        ? speaker.state("instance.restarting", {
            instanceId,
            restarts: common.restarts + 1,
            reason: "policy",
          })
        : undefined;
    case "give-up":
      return living ? speaker.state("instance.gave-up", { ...common, reason: "too often" }) : undefined;
    case "stop":
      return living ? speaker.state("instance.stopped", { ...common, reason: "asked" }) : undefined;
    case "assign":
      if (!living) return;
      return speaker.state("capability.assigned", {
        instanceId,
        assignment: {
          capabilityId: `c-${which % 2}`,
          providerType: "kv",
          permissions: which > 1 ? ["kv:read"] : ["kv:write"],
          config: {},
        },
      });
    case "revoke":
      return living
        ? speaker.state("capability.revoked", { instanceId, capabilityId: `c-${which % 2}` })
        : undefined;
    case "use":
      return living
        ? speaker.state("capability.used", {
            instanceId,
            capabilityId: `c-${which % 2}`,
            permission: "msg:publish:>",
            ...(which === 3 ? {} : { exactly: `msg:publish:topic-${which}` }),
          })
        : undefined;
    case "deny":
      return living
        ? speaker.state("capability.denied", {
            instanceId,
            capabilityId: `c-${which % 2}`,
            providerType: "kv",
            operation: "get",
            permission: `kv:read:${speaker.own().seq % 11}`,
            count: which + 1,
            fix: "grant it",
            ...(which === 3 ? { more: true as const } : {}),
          })
        : undefined;
    case "provide":
      return speaker.state("provider.available", info);
    case "provider-fails":
      if (which === 1) return speaker.state("provider.unwell", { ...info, reason: "slow" });
      if (which === 2) return speaker.state("provider.gave-up", { ...info, restarts: 20, reason: "often" });
      if (which === 3) return speaker.state("provider.draining", { ...info, address: "http://h:1" });
      return speaker.state("provider.failed", { ...info, reason: "broke" });
    case "store":
      return speaker.state("module.stored", { digest: digestOf(which), sizeBytes: which + 1 });
    case "evict":
      return speaker.state("module.evicted", { digest: digestOf(which) });
    case "drain":
      return speaker.state("node.draining", {});
    case "heartbeat":
      return speaker.heartbeat({ instances: speaker.own().instances.size });
    case "replay":
      return void speaker.tellAll();
  }
}

/** The specification of a generated instance. */
export function specOf(instanceId: string, which: number, incarnation: number) {
  return InstanceSpec.parse({
    instanceId,
    incarnation,
    name: `name-${which}`,
    moduleHash: digestOf(which),
    commandId: "c",
    createdAt: new Date(0).toISOString(),
    capabilities: which === 3 ? [{ capabilityId: "c-0", providerType: "kv", permissions: ["kv:read"] }] : [],
  });
}

/** Everything that facts say of a node, in a form that does not depend on the way it was learned. */
export function shapeOf(node: NodeView | undefined): unknown {
  if (node === undefined) return undefined;
  return structuredClone({
    node: node.nodeId,
    epoch: node.epoch,
    seq: node.seq,
    status: node.status,
    joined: node.joined,
    stopped: node.stopped,
    modules: new Map(byKey(node.modules)),
    providers: new Map(
      byKey(node.providers).map(([id, provider]) => [id, { ...provider, reason: provider.reason ?? "" }]),
    ),
    instances: new Map(
      byKey(node.instances).map(
        ([id, { spec, assignments, status, since, restarts, lastCrash, reason, backoff, audit }]) => [
          id,
          // A grant is where it is now; the wording of a reason may be empty instead of absent after a replay.
          {
            spec: { ...spec, capabilities: [] },
            assignments: new Map(byKey(assignments)),
            status,
            since,
            restarts,
            lastCrash,
            reason: reason ?? "",
            audit,
            backoff,
          },
        ],
      ),
    ),
  });
}

/** The entries of a map in the order of their keys. */
export function byKey<Value>(map: ReadonlyMap<string, Value>): [string, Value][] {
  return [...map].toSorted(([one], [other]) => (one < other ? -1 : 1));
}
