import fc from "fast-check";
import pino from "pino";
import { expect, test } from "vitest";
import { createLatticeWatch } from "../../actors/lattice-watch/lattice-watch.ts";
import { watchGrantHolders } from "../../actors/provider/grant-holders.ts";
import type { GrantHolder } from "../../src/capabilities/capability.ts";
import { nodeLimits, providerLifeLimits } from "../../src/limits.ts";
import { specOf } from "../support/lattice-histories.ts";
import { startMemoryServer } from "../support/memory-bus.ts";
import { type TalkingNode, talkingNode } from "../support/talking-node.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const log = pino({ level: "silent" });
const grant = (capabilityId: string, provider?: string, providerType = "messaging") => ({
  capabilityId,
  providerType,
  permissions: ["msg:subscribe:a"],
  config: {},
  ...(provider === undefined ? {} : { provider }),
});

/** Two nodes, and a provider called `messaging` somewhere else that watches them. */
function world() {
  const clock = virtualClock(1_700_000_000_000);
  const server = startMemoryServer({ clock });
  const nodes = ["n1", "n2"].map((nodeId) => talkingNode({ bus: server.connect(), clock, nodeId }));
  const bus = server.connect();
  const watch = createLatticeWatch({ lattice: "default", bus, clock, log });
  watch.start();
  const told: (readonly GrantHolder[])[] = [];
  const holders = watchGrantHolders({
    lattice: "default",
    provider: "messaging",
    providerType: "messaging",
    clock,
    watch,
    hears: () => bus.connected,
    onHolders: (list) => void told.push(list),
  });
  const [one, two] = nodes as [TalkingNode, TalkingNode];
  const end = () => {
    for (const node of nodes) node.stop();
    watch.stop();
    holders.end();
  };
  return { clock, server, bus, one, two, told, holders, end };
}

const run = (node: TalkingNode, instanceId: string, incarnation = 1, name?: string) =>
  node.speaker.state("instance.starting", {
    spec: { ...specOf(instanceId, 0, incarnation), ...(name === undefined ? {} : { name }) },
    restarts: 0,
  });
const assign = (node: TalkingNode, instanceId: string, assignment: ReturnType<typeof grant>) =>
  node.speaker.state("capability.assigned", { instanceId, assignment });
const textOf = (list: readonly GrantHolder[] | undefined) =>
  (list ?? [])
    .map((one) => `${one.nodeId}/${one.instanceId}#${one.incarnation}/${one.capabilityId}`)
    .toSorted();

test("R16: a capability hears of the grants that mean its provider, once for each turn, and with all that it needs", async () => {
  const { clock, one, two, told, end } = world();
  run(one, "a", 3, "worker");
  assign(one, "a", grant("box"));
  assign(one, "a", grant("other", "another-provider"));
  assign(one, "a", grant("alien", "messaging", "kv"));
  run(two, "b");
  assign(two, "b", grant("post", "messaging"));
  expect(told).toEqual([[]]);
  await clock.advance(0);
  expect(told.at(-1)?.toSorted((x, y) => (x.instanceId < y.instanceId ? -1 : 1))).toEqual([
    {
      lattice: "default",
      nodeId: "n1",
      instanceId: "a",
      name: "worker",
      incarnation: 3,
      capabilityId: "box",
      config: {},
      permissions: ["msg:subscribe:a"],
    },
    {
      lattice: "default",
      nodeId: "n2",
      instanceId: "b",
      name: "name-0",
      incarnation: 1,
      capabilityId: "post",
      config: {},
      permissions: ["msg:subscribe:a"],
    },
  ]);
  const before = told.length;
  one.speaker.state("module.stored", { digest: `sha256:${"0".repeat(64)}`, sizeBytes: 1 });
  one.speaker.heartbeat({ instances: 1 });
  one.speaker.tellAll();
  await clock.advance(0);
  expect(told.length).toBe(before);
  end();
});

test("R16: grants end with their instance, with a node that leaves and with one that falls silent, and come back with it", async () => {
  const { clock, server, bus, one, two, told, holders, end } = world();
  run(one, "a");
  assign(one, "a", grant("box"));
  run(two, "b");
  assign(two, "b", grant("box"));
  await clock.advance(0);
  expect(textOf(told.at(-1))).toEqual(["n1/a#1/box", "n2/b#1/box"]);
  one.speaker.state("instance.stopped", { instanceId: "a", restarts: 0, reason: "asked" });
  await clock.advance(0);
  expect(textOf(told.at(-1))).toEqual(["n2/b#1/box"]);

  // While its own bus is away everybody is silent, and that says nothing.
  server.disconnect(bus);
  for (let seconds = 0; seconds < 30; seconds += 5) {
    await clock.advance(5_000);
    holders.look();
  }
  expect(textOf(told.at(-1))).toEqual(["n2/b#1/box"]);
  server.reconnect(bus);
  await clock.advance(nodeLimits.heartbeatMs);
  holders.look();
  expect(textOf(told.at(-1))).toEqual(["n2/b#1/box"]);

  // Nor does its own sleep: a machine that was suspended hears the others only after its timers.
  two.stop();
  await clock.advance(3_600_000);
  holders.look();
  await clock.advance(0);
  expect(textOf(told.at(-1))).toEqual(["n2/b#1/box"]);

  await clock.advance(providerLifeLimits.silentNodeMs + 1);
  holders.look();
  await clock.advance(0);
  expect(textOf(told.at(-1))).toEqual([]);
  two.speaker.heartbeat({ instances: 1 });
  await clock.advance(0);
  expect(textOf(told.at(-1))).toEqual(["n2/b#1/box"]);
  two.speaker.state("node.left", { reason: "done" });
  await clock.advance(0);
  expect(textOf(told.at(-1))).toEqual([]);
  end();
});

const step = fc.record({
  node: fc.constantFrom(0, 1),
  instance: fc.constantFrom("a", "b", "c"),
  what: fc.constantFrom("start", "stop", "crash", "assign", "assign-other", "revoke", "replay", "wait"),
});

test("R16, R2.4: after any history the capability was last told of exactly the grants that are in force", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const { clock, one, two, told, end } = world();
      const model = new Map<string, Set<string>>();
      const lives = new Map<string, number>();
      for (const { node: which, instance, what } of steps) {
        const node = which === 0 ? one : two;
        const instanceId = `${instance}-${which}`;
        const held = model.get(instanceId);
        const { speaker } = node;
        if (what === "start" && held === undefined) {
          const incarnation = (lives.get(instanceId) ?? 0) + 1;
          lives.set(instanceId, incarnation);
          model.set(instanceId, new Set());
          run(node, instanceId, incarnation);
        } else if (what === "wait") await clock.advance(0);
        else if (what === "replay") speaker.tellAll();
        else if (held === undefined) continue;
        else if (what === "stop") {
          model.delete(instanceId);
          speaker.state("instance.stopped", { instanceId, restarts: 0, reason: "asked" });
        } else if (what === "crash") {
          const crash = { reason: "trap", message: "m", at: new Date(0).toISOString() } as const;
          speaker.state("instance.crashed", { instanceId, restarts: 0, crash });
        } else if (what === "assign") {
          held.add("box");
          assign(node, instanceId, grant("box"));
        } else if (what === "assign-other") {
          // The same grant for another provider takes it away from this one.
          held.delete("box");
          assign(node, instanceId, grant("box", "elsewhere"));
        } else {
          held.delete("box");
          speaker.state("capability.revoked", { instanceId, capabilityId: "box" });
        }
      }
      await clock.advance(0);
      const expected = [...model].flatMap(([instanceId, held]) =>
        [...held].map(
          (id) => `n${Number(instanceId.at(-1)) + 1}/${instanceId}#${lives.get(instanceId)}/${id}`,
        ),
      );
      expect(textOf(told.at(-1))).toEqual(expected.toSorted());
      end();
    }),
    { numRuns: 200 },
  );
});
