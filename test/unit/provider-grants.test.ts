import pino from "pino";
import { expect, onTestFinished, test } from "vitest";
import { startControlPlane } from "../../actors/control-plane/control-plane.ts";
import { ask, type QuestionOf } from "../../src/bus/ask.ts";
import { seededChance } from "../../src/chance.ts";
import { createSpeaker } from "../../src/lattice/speaker.ts";
import { controlPlaneLimits } from "../../src/limits.ts";
import type { Failure } from "../../src/protocol/errors.ts";
import { startFakeNode } from "../support/fake-node.ts";
import { startMemoryServer } from "../support/memory-bus.ts";
import { virtualClock } from "../support/virtual-clock.ts";

type Grant = NonNullable<QuestionOf<"ctl.instance.start">["capabilities"]>[number];

/** A control plane that has heard of one node with an instance `a`, and whose view is not rebuilt yet. */
async function rebuilding() {
  const clock = virtualClock(1_700_000_000_000);
  const server = startMemoryServer({ clock });
  const node = startFakeNode({ bus: server.connect(), clock, nodeId: "n1" });
  const log = pino({ level: "silent" });
  const world = { lattice: "default", controlPlaneId: "cp", bus: server.connect(), clock, log };
  const plane = startControlPlane({ ...world, chance: seededChance(1) });
  onTestFinished(() => plane.stop());
  await clock.advance(0);
  const client = server.connect();
  const start = (grant: Grant) =>
    ask(
      client,
      "ctl.instance.start",
      { lattice: "default" },
      { module: { bytes: new Uint8Array([1]) }, capabilities: [grant] },
      { timeoutMs: 60_000 },
    ).then(
      (answer) => (answer as { warning?: string }).warning ?? "done",
      (failure: Failure) => `${failure.code}: ${failure.message}`,
    );
  const settle = async () => {
    await clock.advance(600);
    node.heartbeat();
    await plane.ready;
  };
  const whisper = () => {
    const bus = server.connect();
    const ghost = createSpeaker({
      lattice: "default",
      nodeId: "ghost",
      clock,
      publish: (subject, data) => bus.publish(subject, data),
    });
    ghost.heartbeat({ instances: 0 });
  };
  return { node, clock, start, settle, whisper };
}

const kv = { capabilityId: "store", providerType: "kv", permissions: ["kv:read"] };
const clockGrant = { capabilityId: "watch", providerType: "clock", permissions: ["clock:now"] };
const info = { backend: "memory", version: "1" };

test("P18: while the view has gaps, what is not in it is a warning; once it is whole, a mistake", async () => {
  const { node, clock, start, settle, whisper } = await rebuilding();
  // A node of which only a heartbeat is heard, and which does not answer: the view is waited for, but not for ever.
  whisper();
  const elsewhere = start({ ...kv, provider: "elsewhere" });
  const own = start(clockGrant);
  for (let waitedMs = 0; waitedMs <= controlPlaneLimits.rebuildMsMax; waitedMs += 500) {
    await clock.advance(500);
    node.heartbeat();
  }
  expect(await elsewhere).toMatch(/^provider elsewhere is not known: calls fail/);
  expect(await own).toMatch(/^provider clock is not known: .*`wasmatrix provider <file>` starts one/);

  const { start: startLater, settle: settleLater } = await rebuilding();
  await settle();
  await settleLater();
  expect(await startLater({ ...kv, provider: "elsewhere" })).toBe(
    "INVALID_REQUEST: no provider elsewhere is known",
  );
  expect(await startLater(clockGrant)).toBe("INVALID_REQUEST: there is no provider type clock");
});

test("P18: a built-in type whose provider is not there yet is a warning, and none once it serves", async () => {
  const { node, clock, start, settle } = await rebuilding();
  await settle();
  expect(await start(kv)).toMatch(/^provider kv is not known/);
  const state = async (kind: "provider.starting" | "provider.available") => {
    node.speaker.state(kind, { provider: "kv", providerType: "kv", ...info });
    await clock.advance(0);
  };
  await state("provider.starting");
  expect(await start(kv)).toMatch(/^provider kv is starting/);
  await state("provider.available");
  expect(await start(kv)).toBe("done");
  node.speaker.state("provider.unwell", {
    provider: "kv",
    providerType: "kv",
    ...info,
    reason: "its disk is slow",
  });
  await clock.advance(0);
  expect(await start(kv)).toBe("provider kv is not well: its disk is slow");
  node.speaker.state("provider.stopped", { provider: "kv", providerType: "kv", ...info, reason: "asked" });
  await clock.advance(0);
  expect(await start(kv)).toMatch(/^provider kv is stopped/);
});

test("P18: a stopped provider is remembered with its type, and a guest that is called needs none", async () => {
  const { node, clock, start, settle } = await rebuilding();
  node.speaker.state("provider.stopped", {
    provider: "old",
    providerType: "clock",
    ...info,
    reason: "asked",
  });
  await clock.advance(0);
  await settle();
  expect(await start({ ...kv, provider: "old" })).toBe(
    "INVALID_REQUEST: provider old is of type clock, not kv",
  );
  expect(await start({ ...clockGrant, provider: "old" })).toMatch(/^provider old is stopped/);
  expect(await start({ capabilityId: "b", providerType: "call", permissions: ["call:b"] })).toBe("done");
});
