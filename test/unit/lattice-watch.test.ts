import pino from "pino";
import { expect, test } from "vitest";
import { createLatticeWatch } from "../../actors/lattice-watch/lattice-watch.ts";
import { gapsOf } from "../../src/lattice/view.ts";
import { watchLimits } from "../../src/limits.ts";
import { subjectFor } from "../../src/protocol/addresses.ts";
import { encode } from "../../src/protocol/codec.ts";
import { shapeOf } from "../support/lattice-histories.ts";
import { startMemoryServer } from "../support/memory-bus.ts";
import { talkingNode, type Losses } from "../support/talking-node.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const digest = (letter: string) => `sha256:${letter.repeat(64)}`;

async function watched({ beats = false, nodes = ["n1"] } = {}) {
  const clock = virtualClock(1_700_000_000_000);
  const server = startMemoryServer({ clock });
  const bus = server.connect();
  const nodeBus = server.connect();
  const losses: Losses = { said: 0, asked: 0, chance: () => 0 };
  const watch = createLatticeWatch({ lattice: "default", bus, clock, log: pino({ level: "silent" }) });
  watch.start();
  const talking = nodes.map((nodeId) => talkingNode({ bus: nodeBus, clock, nodeId, losses, beats }));
  await clock.advance(watchLimits.replayBroadcastQuietMs);
  const node = talking[0] as (typeof talking)[number];
  const beganAt = clock.now();
  const askedAfter = () => node.asked.map((at) => at - beganAt);
  const say = (letter: string) =>
    node.speaker.state("module.stored", { digest: digest(letter), sizeBytes: 1 });
  const sayLost = (letter: string) => {
    losses.said = 1;
    say(letter);
    losses.said = 0;
  };
  return { clock, server, bus, nodeBus, watch, node, talking, losses, say, sayLost, askedAfter };
}

test("facts that come in order raise no doubt, and nobody is asked", async () => {
  const { watch, node, say, clock } = await watched();
  for (const letter of "abc") say(letter);
  await clock.advance(60_000);
  expect([node.asked, gapsOf(watch.view)]).toEqual([[], []]);
  expect(clock.pending()).toEqual([]);
});

test("P9: one gap that shows in a hundred facts is one question, and the answer ends it", async () => {
  const { watch, node, say, sayLost, clock, askedAfter } = await watched();
  sayLost("a");
  for (let fact = 0; fact < 100; fact += 1) say(fact % 2 === 0 ? "b" : "c");
  await clock.advance(60_000);
  expect(askedAfter()).toEqual([0]);
  expect(shapeOf(watch.view.nodes.get("n1"))).toEqual(shapeOf(node.speaker.own()));
  expect(clock.pending()).toEqual([]);
});

test("a silent node in doubt is asked with doubling pauses up to the bound, and then left alone", async () => {
  const { losses, say, sayLost, clock, askedAfter } = await watched();
  sayLost("a");
  losses.asked = 1;
  say("b");
  await clock.advance(600_000);
  const pauses = askedAfter().map((at, index, all) => at - (all[index - 1] ?? 0));
  expect(pauses).toEqual([0, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000, 8_000, 8_000]);
  expect(pauses).toHaveLength(watchLimits.replayTriesMax);
  expect(clock.pending()).toEqual([]);
});

test("a node that was left alone is asked anew once it speaks again", async () => {
  const { watch, losses, say, sayLost, clock, node } = await watched();
  sayLost("a");
  losses.asked = 1;
  say("b");
  await clock.advance(600_000);
  losses.asked = 0;
  say("c");
  await clock.advance(0);
  expect(node.asked).toHaveLength(watchLimits.replayTriesMax + 1);
  expect(shapeOf(watch.view.nodes.get("n1"))).toEqual(shapeOf(node.speaker.own()));
});

test("a doubt that comes after an answered one is asked soon, not after the pauses of the one before", async () => {
  const { watch, losses, say, sayLost, clock, node } = await watched();
  sayLost("a");
  losses.asked = 1;
  say("b");
  await clock.advance(16_000);
  losses.asked = 0;
  node.speaker.tellAll();
  await clock.advance(0);
  expect(gapsOf(watch.view)).toEqual([]);
  sayLost("c");
  say("d");
  await clock.advance(watchLimits.replayRetryMs);
  expect(gapsOf(watch.view)).toEqual([]);
});

test("a reconnect asks everybody once, and no one alone while the answers come", async () => {
  const { watch, talking, server, bus, clock, say } = await watched({
    beats: true,
    nodes: ["n1", "n2", "n3"],
  });
  server.disconnect(bus);
  for (const letter of "ab") say(letter);
  talking[1]?.speaker.state("node.draining", {});
  await clock.advance(10_000);
  const before = talking.map(({ askedByBroadcast }) => askedByBroadcast.length);
  server.reconnect(bus);
  await clock.advance(5_000);
  expect(talking.map(({ askedByBroadcast }) => askedByBroadcast.length)).toEqual(before.map((n) => n + 1));
  expect(talking.map(({ asked }) => asked)).toEqual([[], [], []]);
  for (const { speaker } of talking)
    expect(shapeOf(watch.view.nodes.get(speaker.nodeId))).toEqual(shapeOf(speaker.own()));
});

test("a stopped watch asks nothing any more, and leaves no timer", async () => {
  const { watch, node, losses, say, sayLost, clock } = await watched();
  sayLost("a");
  losses.asked = 1;
  say("b");
  await clock.advance(100);
  watch.stop();
  say("c");
  await clock.advance(600_000);
  expect([node.asked.length, clock.pending()]).toEqual([1, []]);
});

test("a malformed fact, and one that speaks for another node, change nothing and break nothing", async () => {
  const { watch, node, nodeBus, say, clock } = await watched();
  const subject = subjectFor("fact", { lattice: "default", node: "n1", noun: "module", verb: "stored" });
  const frame = { lattice: "default", node: "n1", epoch: node.speaker.epoch, seq: 2, at: "x" };
  const data = { digest: digest("f"), sizeBytes: 1 };
  const bad = [
    { ...frame, kind: "module.stored", data, node: "n2" },
    { ...frame, kind: "module.evicted", data: { digest: digest("f") } },
    { ...frame, kind: "module.stored", data: {} },
    { ...frame, kind: "module.stored", data, seq: -1 },
    { ...frame, kind: "module.stored", data, lattice: "other" },
  ];
  for (const fact of bad) nodeBus.publish(subject, encode(fact, "json"));
  nodeBus.publish(subject, new Uint8Array([0xc1]));
  nodeBus.publish(subject, new Uint8Array());
  say("a");
  await clock.advance(0);
  expect(watch.view.nodes.get("n1")?.modules).toEqual(new Map([[digest("a"), 1]]));
  expect([...watch.view.nodes.keys()]).toEqual(["n1"]);
  expect(node.asked).toEqual([]);
});
