import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { memoryDebtLimits } from "../../src/limits.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { countingGuest, startEngine, type RunningEngine, wapcText } from "../support/running-engine.ts";
import { wat } from "../support/wat.ts";

let engine: RunningEngine;
beforeAll(async () => {
  engine = await startEngine();
  await engine.engine.start(engine.spec("witness", countingGuest));
  await engine.engine.start(engine.spec("neighbour", countingGuest));
});
afterAll(() => engine[Symbol.asyncDispose]());

/** Resident bytes of the engine process. */
function rssBytes(): number {
  const status = readFileSync(`/proc/${engine.engine.pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1_024;
}

const memoryBytes = 4 * 1_048_576;
const recursion = `(func $deep (param i32) (result i32) (i32.add (call $deep (local.get 0)) (call $deep (local.get 0))))`;
const callOf = (pointers: string) => `(drop (call $host_call ${pointers}))  (i32.const 1)`;
const good = "(i32.const 0) (i32.const 1)";

/** What a guest does with its turn, and what its caller is told. */
const turns: Record<string, [body: string, code: string | RegExp, fields?: string]> = {
  "spins for ever": ["(loop $again (br $again)) (i32.const 1)", "GUEST_TRAPPED"],
  "recurses for ever": ["(call $deep (i32.const 1))", "GUEST_TRAPPED", recursion],
  "grows its memory until it is refused, and says that": [
    `(loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
     (i32.store8 (i32.const 0) (i32.const 110)) (call $response (i32.const 0) (i32.const 1)) (i32.const 1)`,
    /^n$/,
  ],
  "grows its memory by 4 GiB at once": [
    `(if (i32.eq (memory.grow (i32.const 65535)) (i32.const -1)) (then (call $response (i32.const 0) (i32.const 0))))
     (i32.const 1)`,
    /^$/,
  ],
  "grows a table without a maximum by 5,000,000": [
    `(if (i32.eq (table.grow $t (ref.null func) (i32.const 5000000)) (i32.const -1))
       (then (call $response (i32.const 0) (i32.const 0)))) (i32.const 1)`,
    /^$/,
    "(table $t 1 funcref)",
  ],
  "answers from beyond its memory": [
    "(call $response (i32.const 65530) (i32.const 4096)) (i32.const 1)",
    "GUEST_TRAPPED",
  ],
  "answers with a length of -1": [
    "(call $response (i32.const 0) (i32.const -1)) (i32.const 1)",
    "GUEST_TRAPPED",
  ],
  "takes its payload to beyond its memory": [
    "(call $request (i32.const 0) (i32.const 65535)) (call $response (i32.const 0) (i32.const 1)) (i32.const 1)",
    "GUEST_TRAPPED",
  ],
  "calls a capability whose name lies outside": [
    callOf(`(i32.const -1) (i32.const 5) ${good} ${good} ${good}`),
    "GUEST_TRAPPED",
  ],
  "calls a capability with a name of 60,000 bytes": [
    callOf(`(i32.const 0) (i32.const 60000) ${good} ${good} ${good}`),
    /^(GUEST_TRAPPED|)$/,
  ],
  "calls a capability with a payload of 4 GiB": [
    callOf(`${good} ${good} ${good} (i32.const 0) (i32.const -1)`),
    "GUEST_TRAPPED",
  ],
  "fetches an answer of its host that there is none of": [
    "(call $host_response (i32.const 0)) (call $response (i32.const 0) (i32.const 0)) (i32.const 1)",
    /^(GUEST_TRAPPED|)$/,
  ],
  "overwrites all of its memory and answers from it": [
    `(memory.fill (i32.const 0) (i32.const 255) (i32.const 65536)) (call $response (i32.const 0) (i32.const 2)) (i32.const 1)`,
    /^..$/s,
  ],
  "asks its host without end": [
    `(loop $again (drop (call $host_response_len)) (br $again)) (i32.const 1)`,
    "GUEST_TRAPPED",
  ],
};

describe("R8.1, R14.1, R14.4: a guest that means harm ends alone, and the engine with its other guests goes on", () => {
  test.each(Object.entries(turns))("one that %s", async (what, [body, expected, fields = ""]) => {
    const instanceId = `hostile-${Object.keys(turns).indexOf(what)}`;
    const { pid } = engine.engine;
    const limits = { memoryBytes, fuel: 5_000_000 };
    await engine.engine.start(engine.spec(instanceId, wapcText(body, fields), { limits }));
    const payload = "p".repeat(4_000);
    const answer = await engine.call(instanceId, "go", payload);
    if (typeof expected === "string") expect(answer).toBe(expected);
    else expect(answer).toMatch(expected);
    expect(await engine.call("neighbour", "go")).toMatch(/^.$/s);
    expect([engine.engine.pid, engine.ends]).toEqual([pid, []]);
    await engine.engine.stop(instanceId).catch(() => undefined);
  });

  test("a start function that loops, traps or calls its host ends the start, and nothing else", async () => {
    const starts = ["(loop $again (br $again))", "unreachable", "(drop (call $host_response_len))"];
    for (const [index, start] of starts.entries()) {
      const fields = `(func $begin ${start}) (start $begin)`;
      const spec = engine.spec(`start-${index}`, wapcText("(i32.const 1)", fields));
      const outcome = await engine.engine.start(spec).then(
        () => engine.call(`start-${index}`, "go"),
        (error: Failure) => error.code,
      );
      expect(["GUEST_TRAPPED", "INVALID_MODULE", ""]).toContain(outcome);
    }
    expect(await engine.call("neighbour", "go")).toMatch(/^.$/s);
    expect(engine.ends).toEqual([]);
  });

  test("what modules begin with beyond the limits is refused before anything is made of it", async () => {
    const spec = (module: string) =>
      engine.spec(`refused-${module.length}`, module, { limits: { memoryBytes } });
    const refused = [
      wapcText("(i32.const 1)", "(table 10000000 funcref)"),
      wapcText("(i32.const 1)").replace('(memory (export "memory") 1)', '(memory (export "memory") 1000)'),
      `(module ${Array.from({ length: 1_001 }, (_, at) => `(import "wapc" "f${at}" (func))`).join("")})`,
    ];
    for (const module of refused)
      await expect(engine.engine.start(spec(module))).rejects.toMatchObject({ code: "INVALID_MODULE" });
    expect(engine.ends).toEqual([]);
  });

  const greedy = `(loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    (memory.fill (i32.const 0) (i32.const 7) (i32.const 4000000))`;

  test("200 that take all they may and crash leave no memory behind", async () => {
    const module = wat(wapcText(`${greedy} unreachable`));
    const lives = async (count: number, from: number) => {
      for (let turn = 0; turn < count; turn += 1) {
        const instanceId = `greedy-${from + turn}`;
        await engine.engine.start(
          engine.spec(instanceId, module, { limits: { memoryBytes }, digest: "sha256:greedy" }),
        );
        expect(await engine.call(instanceId, "go")).toBe("GUEST_TRAPPED");
        await engine.engine.stop(instanceId).catch(() => undefined);
      }
    };
    await lives(20, 0);
    const base = rssBytes();
    await lives(200, 20);
    expect(rssBytes()).toBeLessThan(base * 1.1 + memoryDebtLimits.owedBytesMax);
    expect(await engine.call("neighbour", "go")).toMatch(/^.$/s);
  });

  test.each<[string, string, object]>([
    [
      "a command of 16 MiB, a new one for each call,",
      `(module (memory (export "memory") 1)
         (func (export "_start") (drop (memory.grow (i32.const 255))) (memory.fill (i32.const 0) (i32.const 7) (i32.const 16000000))))`,
      {},
    ],
    ["a guest of 4 MiB that is not kept", wapcText(`${greedy} (i32.const 1)`), { reuse: false }],
  ])("%s takes no more for many calls than for a few", async (what, module, changes) => {
    const instanceId = `fresh-${what.length}`;
    const isSmall = "reuse" in changes;
    const limits = { memoryBytes: isSmall ? memoryBytes : 4 * memoryBytes };
    const calls = isSmall ? 200 : 50;
    await engine.engine.start(engine.spec(instanceId, module, { limits, ...changes }));
    await engine.call(instanceId, "go");
    const base = rssBytes();
    let most = 0;
    for (let turn = 0; turn < calls; turn += 1) {
      expect(await engine.call(instanceId, "go")).toBe("");
      most = Math.max(most, rssBytes());
    }
    expect(most).toBeLessThan(base * 1.1 + memoryDebtLimits.owedBytesMax + 64 * 1_048_576);
    await engine.engine.stop(instanceId);
  });
});
