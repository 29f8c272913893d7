import { delay, systemClock } from "../../../../src/clock.ts";
import { type RealEngine, startRealEngine } from "../real-engine.ts";
import { holds, takenOrRefusedLater } from "../expect.ts";
import { coreModules, mutationsOf } from "../modules.ts";
import { fuzzTarget } from "../target.ts";

/** One engine serves so many guests before it is made anew; each leaves compiled code behind. */
const guestsPerEngine = 400;

const ends = new Set([
  "answered",
  "GUEST_TRAPPED",
  "GUEST_ERROR",
  "INVALID_REQUEST",
  "RESOURCE_EXHAUSTED",
  "TIMEOUT",
  "PAYLOAD_TOO_LARGE",
  "INSTANCE_UNAVAILABLE",
  "INSTANCE_NOT_FOUND",
]);
let engine: RealEngine | undefined;

/** Drawn modules in a real engine process, called over a real bus: the engine lives, and its neighbour answers. */
export const target = fuzzTarget<Uint8Array>({
  name: "guests-in-engine",
  weight: 0.01,
  arbitrary: mutationsOf(coreModules, false),
  async check(bytes) {
    if (engine !== undefined && engine.guests >= guestsPerEngine) await end();
    engine ??= await startRealEngine();
    const running = engine;
    const instanceId = await takenOrRefusedLater(["INVALID_MODULE", "RESOURCE_EXHAUSTED"], () =>
      running.start(bytes),
    );
    if (instanceId !== undefined) {
      const outcome = await running.call(instanceId);
      holds(ends.has(outcome), `a call of the guest ended with ${outcome}`);
      await running.stop(instanceId);
    }
    let neighbour = await running.call("neighbour");
    // A cell that was ended for a guest that is stuck comes back elsewhere; until then nobody listens.
    for (let tries = 0; tries < 50 && neighbour === "INSTANCE_NOT_FOUND"; tries += 1) {
      await delay(systemClock, 100);
      neighbour = await running.call("neighbour");
    }
    holds(running.lost() === undefined, `the engine ended: ${running.lost()}`);
    holds(neighbour === "answered", `its neighbour ended with ${neighbour}`);
    return instanceId !== undefined;
  },
  end,
});

async function end(): Promise<void> {
  const ending = engine;
  engine = undefined;
  await ending?.[Symbol.asyncDispose]();
}
