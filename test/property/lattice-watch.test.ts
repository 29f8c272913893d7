import fc from "fast-check";
import pino from "pino";
import { expect, test } from "vitest";
import { createLatticeWatch } from "../../actors/lattice-watch/lattice-watch.ts";
import { seededChance } from "../../src/chance.ts";
import { gapsOf } from "../../src/lattice/view.ts";
import { nodeLimits, watchLimits } from "../../src/limits.ts";
import { shapeOf, specOf } from "../support/lattice-histories.ts";
import { startMemoryServer } from "../support/memory-bus.ts";
import { type Losses, talkingNode, type TalkingNode } from "../support/talking-node.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const share = fc.double({ min: 0, max: 0.9, noNaN: true });
const weather = fc.record({ seed: fc.nat(), said: share, asked: share });
const script = fc.array(
  fc.record({
    node: fc.nat({ max: 2 }),
    act: fc.constantFrom("start", "run", "stop", "assign", "store", "rebirth", "away", "back", "nothing"),
    which: fc.nat({ max: 2 }),
    waitMs: fc.constantFrom(0, 0, 0, 10, 500, 2_500),
  }),
  { minLength: 1, maxLength: 20, size: "max" },
);

test("P2 P9 P14: a watch that loses facts, replays and questions is never wrong about a node that it calls complete, and comes to every node's own view", async () => {
  await fc.assert(
    fc.asyncProperty(weather, script, async ({ seed, said, asked }, steps) => {
      const clock = virtualClock(1_700_000_000_000);
      const server = startMemoryServer({ clock });
      const bus = server.connect();
      const nodeBus = server.connect();
      const losses: Losses = { said, asked, chance: seededChance(seed) };
      const truths = new Map<string, unknown>();
      const nodes = new Map<string, TalkingNode>();
      const watch = createLatticeWatch({ lattice: "default", bus, clock, log: pino({ level: "silent" }) });
      // Collected, since a bus outlives what its listeners throw.
      const seen: unknown[] = [];
      const expected: unknown[] = [];
      watch.onChange((nodeId) => {
        const node = watch.view.nodes.get(nodeId);
        if (node?.knowledge !== "complete") return;
        seen.push(shapeOf(node));
        expected.push(truths.get(`${nodeId} ${node.epoch} ${node.seq}`));
      });
      const begin = async (nodeId: string) => {
        nodes.get(nodeId)?.stop();
        // An epoch is a millisecond: two lives of one node do not begin in the same.
        await clock.advance(1);
        const node = talkingNode({ bus: nodeBus, clock, nodeId, losses });
        const remember = () => {
          const { epoch, seq } = node.speaker.own();
          truths.set(`${nodeId} ${epoch} ${seq}`, shapeOf(node.speaker.own()));
        };
        remember();
        node.speaker.onFact(remember);
        nodes.set(nodeId, node);
        return node;
      };
      watch.start();
      for (const { node, act, which, waitMs } of steps) {
        const nodeId = `n${node}`;
        const known = nodes.get(nodeId) ?? (await begin(nodeId));
        if (act === "rebirth") await begin(nodeId);
        else if (act === "away") server.disconnect(bus);
        else if (act === "back") server.reconnect(bus);
        else change(known, act, which);
        await clock.advance(waitMs);
      }
      server.reconnect(bus);
      losses.said = 0;
      losses.asked = 0;
      await clock.advance(nodeLimits.heartbeatMs + watchLimits.replayRetryMsMax);
      expect(gapsOf(watch.view)).toEqual([]);
      expect([...watch.view.nodes.keys()].toSorted()).toEqual([...nodes.keys()].toSorted());
      for (const [nodeId, { speaker }] of nodes)
        expect(shapeOf(watch.view.nodes.get(nodeId))).toEqual(shapeOf(speaker.own()));
      expect(seen.length).toBeGreaterThan(0);
      expect(seen).toEqual(expected);
      watch.stop();
      for (const node of nodes.values()) node.stop();
      await clock.advance(watchLimits.replayRequestTimeoutMs);
      expect(clock.pending()).toEqual([]);
    }),
    { numRuns: 100 },
  );
});

function change({ speaker }: TalkingNode, act: string, which: number): void {
  const instanceId = `i-${speaker.nodeId}-${which}`;
  const known = speaker.own().instances.get(instanceId);
  const lives = known !== undefined && known.status !== "stopped";
  const common = { instanceId, restarts: known?.restarts ?? 0 };
  if (act === "store") {
    speaker.state("module.stored", { digest: `sha256:${String(which).repeat(64)}`, sizeBytes: which + 1 });
  } else if (act === "start" && !lives) {
    const incarnation = (known?.spec.incarnation ?? 0) + 1;
    speaker.state("instance.starting", { spec: specOf(instanceId, which, incarnation), restarts: 0 });
  } else if (act === "run" && lives) speaker.state("instance.running", common);
  else if (act === "stop" && lives) speaker.state("instance.stopped", { ...common, reason: "asked" });
  else if (act === "assign" && lives) {
    const assignment = { capabilityId: "kv", providerType: "kv", permissions: ["kv:read"], config: {} };
    speaker.state("capability.assigned", { instanceId, assignment });
  }
}
