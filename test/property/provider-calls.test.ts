import { readFileSync } from "node:fs";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildExamples } from "../../scripts/build-examples.ts";
import { subjectFor } from "../../src/protocol/addresses.ts";
import { encode } from "../../src/protocol/codec.ts";
import { anyKvStep, payloadOf, perform } from "../support/kv-guest-model.ts";
import { done, freshId } from "../support/lattice-workload.ts";
import { startLattice, type TestLattice } from "../support/lattice.ts";
import { startProviderProcess } from "../support/provider-process.ts";

const { "sdk-check": example } = await buildExamples(["sdk-check"]);
const nodes = ["n1", "n2"] as const;
const operations = { get: "kv:read", exists: "kv:read", set: "kv:write", delete: "kv:delete" } as const;
const everything = ["kv:read", "kv:write", "kv:delete"];

let lattice: TestLattice;
let digest: string;
beforeAll(async () => {
  lattice = await startLattice();
  await lattice.controlPlane("cp1");
  for (const node of nodes) await lattice.node(node, { is: node });
  await startProviderProcess(lattice, "p1", "kv", ["kv"]);
  digest = (await done(lattice, "module.put", { bytes: readFileSync(example.path).toString("base64") }))[
    "digest"
  ];
});
afterAll(() => lattice[Symbol.asyncDispose]());

test("P17, R12.1, R12.4: a provider in another process serves exactly the calls of instances that live where they say, under a grant that covers them", async () => {
  const call = fc.record({
    from: fc.constantFrom("n1", "n1", "n1", "n2", "p1", "elsewhere"),
    whose: fc.constantFrom("own", "own", "own", "other", "nobody"),
    incarnation: fc.constantFrom(1, 1, 1, 2),
    capabilityId: fc.constantFrom("store", "store", "store", "depot"),
    operation: fc.constantFrom(...(Object.keys(operations) as (keyof typeof operations)[])),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.subarray(everything, { minLength: 1 }),
      fc.boolean(),
      fc.array(call, { minLength: 1, maxLength: 6 }),
      async (granted, revokes, calls) => {
        const ids = { own: freshId("own"), other: freshId("other"), nobody: freshId("nobody") };
        const grant = { capabilityId: "store", providerType: "kv", permissions: granted };
        const start = (instanceId: string, node: string, capabilities: object[]) =>
          done(lattice, "instance.start", {
            module: { digest },
            instanceId,
            requires: { is: node },
            capabilities,
          });
        await Promise.all([start(ids.own, "n1", [grant]), start(ids.other, "n2", [])]);
        if (revokes) await done(lattice, "capability.revoke", { instanceId: ids.own, capabilityId: "store" });
        for (const { from, whose, incarnation, capabilityId, operation } of calls) {
          const isItsOwn = whose === "own" && from === "n1" && incarnation === 1 && capabilityId === "store";
          const isCovered = isItsOwn && !revokes && granted.includes(operations[operation]);
          expect(await ask(from, ids[whose], incarnation, capabilityId, operation)).toBe(
            isCovered ? "done" : "PERMISSION_DENIED",
          );
        }
        for (const instanceId of [ids.own, ids.other]) await done(lattice, "instance.stop", { instanceId });
      },
    ),
    { numRuns: 100 },
  );
});

test("P20, R16.3: any operation while its provider is stopped is told so, harms nobody, and works again afterwards", async () => {
  const instanceId = freshId("guest");
  const grant = { capabilityId: "store", providerType: "kv", permissions: everything };
  await done(lattice, "instance.start", { module: { digest }, instanceId, capabilities: [grant] });
  await fc.assert(
    fc.asyncProperty(fc.array(anyKvStep, { minLength: 1, maxLength: 4 }), anyKvStep, async (steps, first) => {
      await done(lattice, "provider.stop", { provider: "kv" });
      for (const step of steps) {
        const answer = await lattice.call(instanceId, step.operation, payloadOf(step), 1_000);
        expect(answer).toMatchObject({
          code: "GUEST_ERROR",
          message: expect.stringMatching(/^PROVIDER_UNAVAILABLE/),
        });
      }
      const { instance } = await done(lattice, "instance.query", { instanceId });
      expect(instance).toMatchObject({ status: "running", restarts: 0 });
      await done(lattice, "provider.start", { provider: "kv", kind: "kv", nodeId: "p1" });
      // A store in memory begins empty.
      const expected = perform(new Map(), first);
      const again = await lattice.call(instanceId, first.operation, payloadOf(first));
      if ("answer" in expected) expect(again).toBe(expected.answer);
      else expect(again).toMatchObject({ message: expect.stringContaining(expected.error) });
    }),
    { numRuns: 100 },
  );
});

async function ask(
  callingNode: string,
  instanceId: string,
  incarnation: number,
  capabilityId: string,
  operation: string,
): Promise<string> {
  const value = operation === "set" ? { value: new Uint8Array([1]) } : {};
  const payload = encode({ key: "k", ...value }, "msgpack");
  const subject = subjectFor("cap", { lattice: "default", provider: "kv", callingNode, operation });
  const data = encode({ instanceId, incarnation, capabilityId, payload }, "msgpack");
  const answer = await lattice.bus.request(subject, data, { timeoutMs: 5_000 });
  return answer.header("Wasmatrix-Error-Code") ?? "done";
}
