import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { failureInAnswer } from "../../src/bus/guest-answers.ts";
import { subjectFor } from "../../src/protocol/addresses.ts";
import { encode } from "../../src/protocol/codec.ts";
import { type Figure, median, short } from "./figure.ts";
import { lattice } from "./guest-engine.ts";
import { buildGetLoop, buildLibrary, unseen } from "./guests/build-guests.ts";
import { cpuUsOf, startProgram } from "./program.ts";
import type { GetsResult, GetsRound } from "./programs/component-gets.ts";
import { childrenOf, rssBytesOf, startTestLattice, type TestLattice } from "./test-lattice.ts";

const rounds = 21;
const getsInProcess = 5_000;
/** Over the bus; a round stays far below the time that a call has. */
const getsOnBus = 500;
const guestsOnBus = 16;

/** What the component of 226 KB is asked first. */
const evaluate: FirstCall = { operation: "evaluate", args: [3, 0.5] };

/**
 * Gets of one key by a component whose host has the answer in memory, one after the other; beside it the same through
 * the cell's own host, and over the bus to a provider in another process.
 */
export async function componentKvGet(name: string): Promise<Figure> {
  const component = await buildGetLoop();
  const stub = await getsInOneProcess(component, "stub");
  const cell = await getsInOneProcess(component, "cell");
  const bus = await getsOverTheBus(component);
  const range = `${short(Math.min(...stub.rates))}–${short(Math.max(...stub.rates))} by round`;
  const note =
    `one guest, its host answers from memory: ${range}, CPU ${short(stub.cpuUs)} µs a get; with the cell's grants and ` +
    `run queue ${short(median(cell.rates))}/s, ${short(cell.cpuUs)} µs; over nats-server to a kv provider in another ` +
    `process one guest ${short(bus.one)}/s, ${guestsOnBus} guests of one cell ${short(bus.all)}/s`;
  return { name, value: median(stub.rates), unit: "gets/s", note };
}

/** From the start command of a component that the engine never saw until its first call is answered. */
export async function componentFirstStart(name: string): Promise<Figure> {
  const component = await buildLibrary();
  await using under = await startTestLattice();
  const times: { running: number; answered: number }[] = [];
  const before = cpuUsOf(engineOf(under));
  for (let start = 0; start < 7; start += 1) {
    const digest = await put(under, unseen(component, start));
    times.push(await startAndCall(under, digest, `first-${start}`));
  }
  const cpuMs = (cpuUsOf(engineOf(under)) - before) / 1_000 / times.length;
  const all = times.map(({ answered }) => answered);
  const running = median(times.map((one) => one.running));
  const note =
    `${short(component.length / 1_000)} KB, C; lower is better; \`running\` after ${short(running)} ms; ` +
    `CPU of the engine ${short(cpuMs)} ms each; ` +
    `all in order, the first with an engine that had no component before: ${all.map(short).join(", ")}`;
  return { name, value: median(all), unit: "ms", note };
}

/** The same for one more instance of a component that the engine knows. */
export async function componentSecondStart(name: string): Promise<Figure> {
  const component = await buildLibrary();
  await using under = await startTestLattice();
  const digest = await put(under, component);
  await startAndCall(under, digest, "first");
  const later: { running: number; answered: number }[] = [];
  const before = cpuUsOf(engineOf(under));
  for (let start = 0; start < 100; start += 1)
    later.push(await startAndCall(under, digest, `second-${start}`));
  const cpuMs = (cpuUsOf(engineOf(under)) - before) / 1_000 / later.length;
  const all = later.map(({ answered }) => answered).toSorted((one, other) => one - other);
  const library = await residentKb(component, evaluate);
  const lean = await residentKb(await buildGetLoop(), { operation: "loop", args: [0] });
  const note =
    `${all.length} starts one after the other; lower is better; \`running\` after ` +
    `${short(median(later.map((one) => one.running)))} ms; p5 ${short(all[5])} ms, p95 ${short(all[95])} ms; ` +
    `CPU of the engine ${short(cpuMs)} ms each; RSS of the engine per instance called once: ` +
    `${short(component.length / 1_000)} KB of C ${short(library)} KB, one of 1 KB ${short(lean)} KB`;
  return { name, value: median(all), unit: "ms", note };
}

async function getsInOneProcess(component: Uint8Array, through: GetsRound["through"]) {
  const folder = mkdtempSync(path.join(tmpdir(), "wasmatrix-bench-"));
  try {
    const file = path.join(folder, "get-loop.wasm");
    writeFileSync(file, component);
    using program = await startProgram("./programs/component-gets.ts", [file]);
    const results: GetsResult[] = [];
    for (let round = 0; round < rounds; round += 1)
      results.push(await program.ask<GetsResult>({ through, gets: getsInProcess } satisfies GetsRound));
    // The first ones compile.
    const warm = results.slice(5);
    return { rates: warm.map((one) => one.perSecond), cpuUs: median(warm.map((one) => one.cpuUs)) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Gets a second through the engine, the server and the provider: of one guest, and of several at once. */
async function getsOverTheBus(component: Uint8Array): Promise<{ one: number; all: number }> {
  await using under = await startTestLattice({ kv: true });
  const { instances } = await under.control("ctl.instance.start", {
    module: { digest: await put(under, component) },
    name: "get-loop",
    count: guestsOnBus,
    capabilities: [{ capabilityId: "store", providerType: "kv", permissions: ["kv:read", "kv:write"] }],
  });
  const [first = "", ...others] = instances.map(({ instanceId }) => instanceId);
  await call(under, first, { operation: "fill", args: [] });
  const rate = async (instanceIds: readonly string[]) => {
    const began = performance.now();
    await Promise.all(
      instanceIds.map((instanceId) => call(under, instanceId, { operation: "loop", args: [getsOnBus] })),
    );
    return (instanceIds.length * getsOnBus) / ((performance.now() - began) / 1_000);
  };
  const ones: number[] = [];
  const alls: number[] = [];
  for (let round = 0; round < 8; round += 1) {
    ones.push(await rate([first]));
    alls.push(await rate([first, ...others]));
  }
  return { one: median(ones.slice(2)), all: median(alls.slice(2)) };
}

/** Milliseconds from the start command until it is answered, and until the instance's first call is. */
async function startAndCall(under: TestLattice, digest: string, instanceId: string) {
  const began = performance.now();
  await under.control("ctl.instance.start", { module: { digest }, instanceId });
  const running = performance.now() - began;
  await call(under, instanceId, evaluate);
  return { running, answered: performance.now() - began };
}

/**
 * Resident kilobytes of an engine of its own for each instance that has answered a call, beyond those of the first 50:
 * what there is once for all of them comes with these. Fewer than 200 drown in what V8 collects meanwhile.
 */
async function residentKb(component: Uint8Array, first: FirstCall): Promise<number> {
  await using under = await startTestLattice();
  const digest = await put(under, component);
  const startSome = async (name: string, count: number) => {
    const { instances } = await under.control("ctl.instance.start", {
      module: { digest },
      name,
      count,
      capabilities: [{ capabilityId: "store", providerType: "kv", permissions: ["kv:read"] }],
    });
    for (const { instanceId } of instances) await call(under, instanceId, first);
    return rssBytesOf(engineOf(under), "alone");
  };
  const before = await startSome("before", 50);
  return ((await startSome("after", 200)) - before) / 200 / 1_024;
}

/** The process below the node agent that runs guests. */
function engineOf({ node }: TestLattice): number {
  const [engine] = childrenOf(node.pid);
  if (engine === undefined) throw new Error("the node has no engine");
  return engine;
}

async function put({ control }: TestLattice, bytes: Uint8Array): Promise<string> {
  return (await control("ctl.module.put", { bytes: new Uint8Array(bytes) })).digest;
}

/** A function of a component, and its arguments. */
interface FirstCall {
  readonly operation: string;
  readonly args: readonly number[];
}

/** Calls a function of a component; its failure is thrown. */
async function call({ bus }: TestLattice, target: string, { operation, args }: FirstCall): Promise<void> {
  const subject = subjectFor("call", { lattice, target, operation });
  const answer = await bus.request(subject, encode(args, "json"), { timeoutMs: 10_000 });
  const failure = failureInAnswer(answer);
  if (failure !== undefined) throw failure;
}
