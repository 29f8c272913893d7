import fc from "fast-check";
import pino from "pino";
import { expect, test } from "vitest";
import { startControlPlane } from "../../actors/control-plane/control-plane.ts";
import { replyTokenOf } from "../../src/bus/bus.ts";
import { watchLostCalls } from "../../src/bus/lost-calls.ts";
import { serve } from "../../src/bus/serve.ts";
import { seededChance } from "../../src/chance.ts";
import { createSpeaker } from "../../src/lattice/speaker.ts";
import { lostCallLimits } from "../../src/limits.ts";
import { filterFor, subjectFor } from "../../src/protocol/addresses.ts";
import type { Failure } from "../../src/protocol/errors.ts";
import { InstanceSpec } from "../../src/protocol/instance-spec.ts";
import { startMemoryServer } from "../support/memory-bus.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const lattice = "default";
const log = pino({ level: "silent" });
const lossMs = 1_000;
const timeoutMs = 12_000;

/** One node: whether it serves the target, and what it says when it is asked for a call. */
interface Plan {
  readonly serves: boolean;
  readonly says: "what is so" | "that it cannot know" | "nothing";
}

/** What happens while the call waits, and to which node. */
interface Loss {
  readonly what: "nothing" | "cell" | "engine" | "node" | "new life";
  readonly of: number;
}

interface Outcome {
  readonly code: string;
  readonly safeToRepeat: unknown;
  readonly afterMs: number;
}

/**
 * A lattice of three nodes on a bus in memory, and a call to `target` that nobody answers; `heldBy` is the node that
 * has it, if any. Resolves with how the call ended.
 */
async function lived(
  kind: "guest" | "provider",
  plans: readonly Plan[],
  heldBy: number | undefined,
  loss: Loss,
  stuckForMs?: number,
): Promise<Outcome> {
  const clock = virtualClock(1_700_000_000_000);
  const server = startMemoryServer({ clock });
  const caller = server.connect();
  const row = kind === "guest" ? "call" : "cap";
  let token = "";
  let endedAt = 0;
  caller.subscribe(filterFor(row, { lattice }), (message) => {
    token = replyTokenOf(message);
  });
  const nodes = plans.map((plan, index) => {
    const bus = server.connect();
    const nodeId = `n${index}`;
    const speak = () =>
      createSpeaker({
        lattice,
        nodeId,
        clock,
        publish: (subject, data) => {
          if (bus.connected) bus.publish(subject, data);
        },
      });
    let speaker = speak();
    const join = (serves: boolean) => {
      speaker.state("node.joined", {
        productVersion: "0.1.0",
        protocolVersion: "1.0",
        hostname: "here",
        pid: 1,
        labels: {},
        guestKinds: [],
        instancesMax: 10,
      });
      if (serves && kind === "provider") speaker.state("provider.available", providerInfo);
      if (serves && kind === "guest")
        speaker.state("instance.starting", { spec: specOf(index), restarts: 0 });
    };
    serve(bus, clock, "node.call.held", { lattice, node: nodeId }, async () => {
      if (plan.says === "nothing") await new Promise(() => undefined);
      const knows = plan.says === "what is so";
      const sinceMs = clock.now() - endedAt;
      return {
        held: heldBy === index && knows ? [token] : [],
        unsure: knows ? [] : [{ kind, target: "target" }],
        stuck:
          stuckForMs === undefined
            ? []
            : [{ target: "target", endedMs: sinceMs, sinceMs: sinceMs + stuckForMs }],
      };
    });
    serve(bus, clock, "node.fact.replay", { lattice, node: nodeId }, () => speaker.tellAll());
    bus.subscribe(filterFor("nodes.replay", { lattice }), () => void speaker.tellAll());
    join(plan.serves);
    const beat = () => {
      speaker.heartbeat({ instances: 0 });
      clock.setTimeout(beat, 500);
    };
    beat();
    return {
      hit() {
        endedAt = clock.now();
        if (loss.what === "cell") speaker.state("cell.lost", { reason: "test", moved: 0 });
        if (loss.what === "engine") speaker.state("engine.lost", { reason: "test", instances: 0 });
        if (loss.what === "node") server.disconnect(bus);
        if (loss.what !== "new life") return;
        speaker = speak();
        join(false);
      },
    };
  });
  const plane = startControlPlane({
    lattice,
    controlPlaneId: "cp",
    bus: server.connect(),
    clock,
    chance: seededChance(1),
    log,
  });
  await clock.advance(1_000);
  await plane.ready;
  const endWatch = watchLostCalls({ lattice, bus: caller, clock });
  const begunAt = clock.now();
  const where = kind === "guest" ? { target: "target" } : { provider: "target", callingNode: "n0" };
  const subject = subjectFor(row, { lattice, ...where, operation: "go" });
  const ended = caller.request(subject, new Uint8Array(0), { timeoutMs }).then(
    () => expect.fail("nobody answers"),
    ({ code, details }: Failure) => ({
      code,
      safeToRepeat: details?.["safeToRepeat"],
      afterMs: clock.now() - begunAt,
    }),
  );
  await clock.advance(lossMs);
  nodes[loss.of]?.hit();
  await clock.advance(timeoutMs);
  endWatch();
  const stopped = plane.stop();
  await clock.advance(10_000);
  await stopped;
  return ended;
}

const providerInfo = { provider: "target", providerType: "kv", backend: "memory", version: "1" };

const specOf = (index: number) =>
  InstanceSpec.parse({
    instanceId: `i${index}`,
    name: "target",
    incarnation: 1,
    moduleHash: `sha256:${"0".repeat(64)}`,
    createdAt: "2026-01-01T00:00:00.000Z",
    commandId: "c1",
    onNodeLoss: "stay",
  });

const anyPlan: fc.Arbitrary<Plan> = fc.record({
  serves: fc.boolean(),
  says: fc.oneof(
    { weight: 4, arbitrary: fc.constant("what is so" as const) },
    { weight: 1, arbitrary: fc.constantFrom("that it cannot know" as const, "nothing" as const) },
  ),
});
const anyLoss: fc.Arbitrary<Loss> = fc.record({
  what: fc.constantFrom("nothing", "cell", "engine", "node", "new life"),
  of: fc.nat(2),
});

test("P12, P17: a call is given up exactly if a loss hit its target and all who may hold it say that they do not", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("guest" as const, "provider" as const),
      fc.tuple(anyPlan, anyPlan, anyPlan),
      fc.option(fc.nat(2), { nil: undefined }),
      anyLoss,
      async (kind, plans, holder, loss) => {
        const heldBy = holder !== undefined && plans[holder]?.serves === true ? holder : undefined;
        const isOver = loss.what === "node" || loss.what === "new life";
        const isHit =
          plans[loss.of]?.serves === true && loss.what !== "nothing" && (isOver || kind === "guest");
        const may = plans.map((_, index) => index).filter((index) => !(isOver && index === loss.of));
        const someHold = may.some(
          (index) => plans[index]?.serves && (heldBy === index || plans[index].says !== "what is so"),
        );
        const outcome = await lived(kind, plans, heldBy, loss);
        if (!isHit || someHold) {
          expect(outcome).toEqual({ code: "TIMEOUT", safeToRepeat: false, afterMs: timeoutMs });
          return;
        }
        expect(outcome).toMatchObject({
          code: kind === "guest" ? "COMMUNICATION_FAILURE" : "PROVIDER_UNAVAILABLE",
          safeToRepeat: false,
        });
        // A node's loss is known some seconds later, everything else at once.
        expect(outcome.afterMs).toBeLessThan(loss.what === "node" ? timeoutMs : lossMs + 1_000);
      },
    ),
    { numRuns: 100 },
  );
});

test("P12: a call is safe to repeat exactly if the only cell of its target was stuck already when it came", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 5_000 }), fc.boolean(), async (stuckForMs, isElsewhere) => {
      const plan = { serves: true, says: "what is so" } as const;
      const plans = [plan, { ...plan, serves: isElsewhere }];
      const outcome = await lived("guest", plans, undefined, { what: "cell", of: 0 }, stuckForMs);
      const isSafe = !isElsewhere && stuckForMs > lossMs + lostCallLimits.stuckMarginMs;
      expect(outcome).toMatchObject({
        code: isSafe ? "INSTANCE_UNAVAILABLE" : "COMMUNICATION_FAILURE",
        safeToRepeat: isSafe,
      });
    }),
    { numRuns: 100 },
  );
});
