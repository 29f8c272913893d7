import pino from "pino";
import { expect, test } from "vitest";
import { startControlPlane } from "../../actors/control-plane/control-plane.ts";
import { ask } from "../../src/bus/ask.ts";
import { serve } from "../../src/bus/serve.ts";
import { seededChance } from "../../src/chance.ts";
import type { Directory, DirectoryChange } from "../../src/directory/directory.ts";
import { controlPlaneLimits } from "../../src/limits.ts";
import { startFakeNode } from "../support/fake-node.ts";
import { startMemoryServer } from "../support/memory-bus.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const lattice = "default";

async function world() {
  const clock = virtualClock(1_700_000_000_000);
  const server = startMemoryServer({ clock });
  const client = server.connect();
  const listeners = new Set<(change: DirectoryChange) => void>();
  const directory: Directory = {
    putNode: () => expect.fail("a control plane puts nothing"),
    putProvider: () => expect.fail("a control plane puts nothing"),
    removeProvider: () => expect.fail("a control plane removes nothing"),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: async () => undefined,
  };
  const bus = server.connect();
  const log = pino({ level: "silent" });
  const chance = seededChance(1);
  const plane = startControlPlane({ lattice, controlPlaneId: "cp", bus, clock, chance, log, directory });
  await clock.advance(600);
  const nodes = async () => {
    const answer = await ask(client, "ctl.node.list", { lattice }, {}, { timeoutMs: 1_000 });
    return answer.nodes.map(({ nodeId, status, complete }) => [nodeId, status, complete]);
  };
  const hint = (change: DirectoryChange) => listeners.forEach((listener) => listener(change));
  return { clock, server, plane, listeners, nodes, hint };
}

test("R7: a node that appears in the directory is asked for its facts, and is known by those alone", async () => {
  const { clock, server, nodes, hint, plane, listeners } = await world();
  const bus = server.connect();
  // Its first words are lost.
  server.disconnect(bus);
  const node = startFakeNode({ bus, clock, nodeId: "one" });
  server.reconnect(bus);
  await clock.advance(10);
  expect(await nodes()).toEqual([]);
  hint({ type: "appeared", nodeId: "ghost", epoch: 5 });
  hint({ type: "appeared", nodeId: "one", epoch: node.speaker.epoch });
  await clock.advance(10);
  expect(await nodes()).toEqual([["one", "alive", true]]);
  await plane.stop();
  expect(listeners.size).toBe(0);
});

test("R7, R8.2: a node that disappears from the directory is asked: it stays when it answers, and is lost sooner when nobody listens there", async () => {
  const { clock, server, nodes, hint } = await world();
  const bus = server.connect();
  const { epoch } = startFakeNode({ bus, clock, nodeId: "one" }).speaker;
  serve(bus, clock, "node.node.ping", { lattice, node: "one" }, () => ({ epoch }));
  const other = server.connect();
  startFakeNode({ bus: other, clock, nodeId: "two" });
  await clock.advance(100);
  expect(await nodes()).toEqual([
    ["one", "alive", true],
    ["two", "alive", true],
  ]);
  server.disconnect(other);
  for (const nodeId of ["one", "two", "ghost"]) hint({ type: "disappeared", nodeId });
  await clock.advance(controlPlaneLimits.vanishedMs + 10);
  // The fake node has no heart: that it is still alive is its answer.
  expect(await nodes()).toEqual([
    ["one", "alive", true],
    ["two", "lost", true],
  ]);
});
