import { readFileSync } from "node:fs";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildExamples } from "../../scripts/build-examples.ts";
import { failureInAnswer } from "../../src/bus/guest-answers.ts";
import { subjectFor } from "../../src/protocol/addresses.ts";
import { encode } from "../../src/protocol/codec.ts";
import { anyKvStep, type KvStep, neededFor, payloadOf, perform } from "../support/kv-guest-model.ts";
import { type LatticeProcesses, type PartProcess, startProcesses } from "../support/lattice-processes.ts";
import { freshId } from "../support/lattice-workload.ts";

const { "sdk-check": example } = await buildExamples(["sdk-check"]);
const everything = ["kv:read", "kv:write", "kv:delete"];

let lattice: LatticeProcesses;
let provider: PartProcess;
let digest: string;
beforeAll(async () => {
  lattice = await startProcesses();
  await lattice.start("cp-1", "control-plane");
  provider = await lattice.start("kv-1", "provider", "kv");
  await lattice.start("n1", "node", "--cells", "1");
  digest = (await lattice.client.putModule(new Uint8Array(readFileSync(example.path)))).digest;
}, 60_000);
afterAll(() => lattice[Symbol.asyncDispose]());

async function start(granted: readonly string[]): Promise<string> {
  const capabilities =
    granted.length === 0
      ? []
      : [{ capabilityId: "store", providerType: "kv", provider: "kv", permissions: [...granted] }];
  const [instance] = await lattice.client.start({ module: { digest }, name: freshId("user"), capabilities });
  return instance?.instanceId ?? "";
}

/** What the guest answers: the result of its call, or the code of its error. */
async function outcome(instanceId: string, step: KvStep): Promise<{ answer: string } | { error: string }> {
  const payload = new TextEncoder().encode(payloadOf(step));
  try {
    return {
      answer: new TextDecoder().decode(await lattice.client.call(instanceId, step.operation, payload)),
    };
  } catch (error) {
    return { error: /[A-Z]+_[A-Z_]+/.exec(String(error))?.[0] ?? String(error) };
  }
}

/** The code with which the provider itself refuses a call that a cell would never have let through. */
async function forged(instanceId: string, operation: string, payload: object): Promise<string | undefined> {
  const call = {
    instanceId,
    incarnation: 1,
    capabilityId: "store",
    payload: encode(payload, "msgpack"),
  };
  const at = { lattice: "default", provider: "kv", callingNode: "n1", operation };
  const answer = await lattice.client.bus.request(subjectFor("cap", at), encode(call, "msgpack"), {
    timeoutMs: 10_000,
  });
  return failureInAnswer(answer)?.code;
}

test("P17, R12.1, R12.3, R12.4: a call to a provider in another process is routed there, and checked in the cell and there", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.subarray(everything),
      fc.array(anyKvStep, { minLength: 1, maxLength: 12 }),
      async (granted, steps) => {
        const instanceId = await start(granted);
        const store = new Map<string, string>();
        for (const step of steps) {
          const isGranted = granted.includes(neededFor(step));
          expect(await outcome(instanceId, step)).toEqual(
            isGranted ? perform(store, step) : { error: "PERMISSION_DENIED" },
          );
        }
        for (const [operation, permission] of [
          ["exists", "kv:read"],
          ["delete", "kv:delete"],
        ] as const)
          expect(await forged(instanceId, operation, { key: "none" })).toBe(
            granted.includes(permission) ? undefined : "PERMISSION_DENIED",
          );
        await lattice.client.stop({ instanceId });
      },
    ),
    { numRuns: 100 },
  );
}, 120_000);

test("R12.5, R16.3: of several hosts of one name each serves calls, and those that remain serve them all", async () => {
  const instanceId = await start(everything);
  const call = (key: string) => outcome(instanceId, { operation: "exists", key, value: "" });
  await lattice.start("kv-2", "provider", "kv");
  await provider.signal("SIGKILL");
  // At once, whoever knows of the loss by then.
  const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => call(`k${index}`)));
  expect(answers).toEqual(answers.map(() => ({ answer: "false" })));
}, 60_000);
