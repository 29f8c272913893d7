import pino from "pino";
import { describe, expect, test } from "vitest";
import { createLatticeWatch } from "../../actors/lattice-watch/lattice-watch.ts";
import { gapsOf } from "../../src/lattice/view.ts";
import { viewLimits } from "../../src/limits.ts";
import { subjectFor } from "../../src/protocol/addresses.ts";
import { encode } from "../../src/protocol/codec.ts";
import { shapeOf, specOf } from "../support/lattice-histories.ts";
import { startMemoryServer } from "../support/memory-bus.ts";
import { talkingNode } from "../support/talking-node.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const at = "2026-01-02T03:04:05.678Z";
const joined = {
  productVersion: "0",
  protocolVersion: "1.0",
  hostname: "h",
  pid: 1,
  labels: {},
  guestKinds: ["wapc"],
  instancesMax: 9,
};

/** A watch that has heard an honest node, and a stranger on the same bus who may publish as any node. */
async function watched() {
  const clock = virtualClock(1_700_000_000_000);
  const server = startMemoryServer({ clock });
  const [bus, nodeBus, stranger] = [server.connect(), server.connect(), server.connect()];
  const watch = createLatticeWatch({ lattice: "default", bus, clock, log: pino({ level: "silent" }) });
  watch.start();
  const losses = { said: 0, asked: 0, chance: () => 0 };
  const node = talkingNode({ bus: nodeBus, clock, nodeId: "n1", losses, beats: false });
  node.speaker.state("instance.starting", { spec: specOf("i-1", 1, 1), restarts: 0 });
  node.speaker.state("instance.running", { instanceId: "i-1", restarts: 0 });
  await clock.advance(1_000);
  const { epoch, seq } = node.speaker.own();
  const frame = { lattice: "default", node: "n1", epoch, seq: seq + 1, at };
  const truth = () => shapeOf(node.speaker.own());
  const viewed = () => shapeOf(watch.view.nodes.get("n1"));
  /** Publishes as that node, whatever the fact says of itself. */
  const say = async (nodeId: string, kind: string, fact: object) => {
    const [noun = "", verb = ""] = kind.split(".");
    const subject = subjectFor("fact", { lattice: "default", node: nodeId, noun, verb });
    stranger.publish(subject, encode(fact, "json"));
    await clock.advance(0);
  };
  return { clock, watch, node, frame, truth, viewed, say };
}

const running = { instanceId: "i-1", restarts: 0 };

describe("P14, P18: facts that are none change nothing in the view", () => {
  test.each<[string, (frame: { seq: number; epoch: number }) => object]>([
    ["a seq below 0", () => ({ seq: -1 })],
    ["half a seq", ({ seq }) => ({ seq: seq + 0.5 })],
    ["a seq as text", ({ seq }) => ({ seq: String(seq) })],
    ["a seq of 2^53 + 1", () => ({ seq: 2 ** 53 + 2 })],
    ["an epoch below 0", () => ({ epoch: -1 })],
    ["an epoch of 1e300", () => ({ epoch: 1e300 })],
    ["an older epoch", ({ epoch }) => ({ epoch: epoch - 1 })],
    ["a seq that was", () => ({ seq: 1 })],
    ["no time", () => ({ at: 7 })],
    ["another node than its subject", () => ({ node: "n2" })],
    ["another kind than its subject", () => ({ kind: "instance.stopped" })],
    ["another lattice", () => ({ lattice: "*" })],
    ["an id that is none", () => ({ data: { ...running, instanceId: "a\r\nPUB x 0\r\n" } })],
    ["restarts of -1", () => ({ data: { instanceId: "i-1", restarts: -1 } })],
  ])("%s", async (_, lie) => {
    const { frame, say, truth, viewed, watch } = await watched();
    const fact = { ...frame, kind: "instance.running", data: running };
    await say("n1", "instance.running", { ...fact, ...lie(frame) });
    expect(viewed()).toEqual(truth());
    expect([...watch.view.nodes.keys()]).toEqual(["n1"]);
    expect(gapsOf(watch.view)).toEqual([]);
  });

  test("a fact of nearly 1 MiB about one instance is one fact, and the next one counts", async () => {
    const { clock, node, truth, viewed, watch } = await watched();
    const message = "x".repeat(900_000);
    node.speaker.state("instance.crashed", { ...running, crash: { reason: "trap", message, at } });
    node.speaker.state("instance.restarting", { ...running, restarts: 1, reason: "policy" });
    await clock.advance(0);
    expect(viewed()).toEqual(truth());
    expect(gapsOf(watch.view)).toEqual([]);
  });
});

describe("P14: a replay that lies", () => {
  const replayOf = (frame: object, changes: object) => ({
    ...frame,
    kind: "node.replay",
    replayId: "r",
    index: 0,
    count: 1,
    facts: [{ ...frame, seq: 1, kind: "node.joined", data: joined }],
    ...changes,
  });

  test.each<[string, object]>([
    ["of an instance spec with an illegal id", { spec: { ...specOf("i-1", 1, 1), instanceId: "*" } }],
    ["of an incarnation of 0", { spec: { ...specOf("i-1", 1, 1), incarnation: 0 } }],
    [
      "of more memory than there can be",
      { spec: { ...specOf("i-1", 1, 1), limits: { memoryBytes: 2 ** 50 } } },
    ],
    ["of a digest that is a path", { spec: { ...specOf("i-1", 1, 1), moduleHash: "../../x" } }],
  ])("%s is no replay at all", async (_, data) => {
    const { frame, say, truth, viewed } = await watched();
    const facts = [{ ...frame, kind: "instance.starting", data: { restarts: 0, ...data } }];
    await say("n1", "node.replay", replayOf(frame, { facts }));
    expect(viewed()).toEqual(truth());
  });

  test.each<[string, object]>([
    ["more parts than there can be", { count: viewLimits.replayPartsMax + 1 }],
    ["a part beyond its count", { index: 7, count: 2 }],
    ["no parts", { count: 0 }],
    ["a part of a fraction", { index: 0.5 }],
    ["a seq that is over", { seq: 1 }],
    ["an epoch that is over", { epoch: 1 }],
    ["another node than its subject", { node: "n2" }],
  ])("with %s changes nothing", async (_, changes) => {
    const { frame, say, truth, viewed, watch } = await watched();
    await say("n1", "node.replay", replayOf(frame, changes));
    expect(viewed()).toEqual(truth());
    expect([...watch.view.nodes.keys()]).toEqual(["n1"]);
  });

  test("a thousand that begin and never end keep one of them", async () => {
    const { frame, say, watch } = await watched();
    for (let turn = 0; turn < 1_000; turn += 1)
      await say("n1", "node.replay", replayOf(frame, { replayId: `r${turn}`, count: 3 }));
    expect(watch.view.replays.size).toBe(1);
    expect(watch.view.replays.get("n1")?.parts.size).toBe(1);
  });
});
