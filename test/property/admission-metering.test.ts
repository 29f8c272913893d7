import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { admit } from "../../src/wasm/admission/admit.ts";
import { guestEnd } from "../../src/wasm/guests/guest-faults.ts";
import { countersOf, functionsOf } from "../support/metered.ts";
import { program } from "../support/random-program.ts";
import { wat } from "../support/wat.ts";

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const memoryBytesMax = 3 * 65_536;
const fuelMax = 2 ** 31 - 1;

function instantiate(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Instance {
  return new WebAssembly.Instance(new WebAssembly.Module(bytes));
}

/** All that a run shows: its result or its trap, and the state that it leaves behind. */
function outcome(instance: WebAssembly.Instance, a: number, b: number) {
  const { run, memory, g } = instance.exports as {
    run: (a: number, b: number) => number;
    memory: WebAssembly.Memory;
    g: WebAssembly.Global;
  };
  let result: unknown;
  try {
    result = run(a, b);
  } catch (error) {
    result = guestEnd(error, { fuel: undefined, grown: undefined }).message;
  }
  return { result, global: g.value, memory: Buffer.from(memory.buffer).toString("latin1") };
}

describe("a metered program", () => {
  it("computes what it computed before, and takes the same fuel every time", () => {
    fc.assert(
      fc.property(program, int32, int32, (text, a, b) => {
        const bytes = wat(text);
        const admitted = admit(bytes, { memoryBytesMax }).bytes;
        const plain = outcome(instantiate(bytes), a, b);
        const taken = [1, 2].map(() => {
          const metered = instantiate(admitted);
          const { fuel } = countersOf(metered);
          fuel.value = fuelMax;
          expect(outcome(metered, a, b)).toEqual(plain);
          return fuelMax - Number(fuel.value);
        });
        expect(taken[0]).toBeGreaterThan(0);
        expect(taken[1]).toBe(taken[0]);
      }),
      { numRuns: 300 },
    );
  });

  it("traps below zero with any less fuel than it needs, and not with exactly that", () => {
    fc.assert(
      fc.property(program, int32, fc.double({ min: 0, max: 1, noNaN: true }), (text, a, share) => {
        const { bytes } = admit(wat(text), { memoryBytesMax });
        const run = (given: number) => {
          const instance = instantiate(bytes);
          const { fuel } = countersOf(instance);
          fuel.value = given;
          const { result } = outcome(instance, a, a);
          return { result, left: Number(fuel.value) };
        };
        const { result, left } = run(fuelMax);
        const needed = fuelMax - left;
        expect(run(needed)).toEqual({ result, left: 0 });
        expect(run(Math.floor((needed - 1) * share))).toEqual({ result: "unreachable", left: -1 });
      }),
      { numRuns: 150 },
    );
  });

  it("that spins in a loop of any contents ends, and says so", () => {
    fc.assert(
      fc.property(program, fc.integer({ min: 0, max: 100_000 }), (text, given) => {
        const spinning = text.replace(
          '(export "run"',
          '(func (export "spin") (loop $for_ever (drop (call $f0 (i32.const 1) (i32.const 2))) (br $for_ever))) (export "run"',
        );
        const instance = instantiate(admit(wat(spinning), { memoryBytesMax }).bytes);
        const { fuel, grown } = countersOf(instance);
        fuel.value = given;
        try {
          functionsOf(instance)["spin"]?.();
        } catch (error) {
          const end = guestEnd(error, { fuel, grown });
          // A program may trap by itself at first, but it never ends with fuel left and no trap.
          if (Number(fuel.value) < 0) expect(end.type).toBe("fuel");
          else expect(end.message).toMatch(/divi|out of bounds|remainder|unrepresentable/);
          return;
        }
        throw new Error("a loop for ever has ended");
      }),
      { numRuns: 150 },
    );
  });
});
