import { connectNats } from "../../src/bus/nats-bus.ts";
import { askControl } from "../../src/client/control.ts";
import { delay, systemClock } from "../../src/clock.ts";
import { filterFor, parametersOf, subjectFor } from "../../src/protocol/addresses.ts";
import { decode } from "../../src/protocol/codec.ts";
import type { FactOf } from "../../src/protocol/facts.ts";
import type { InstanceSummary } from "../../src/protocol/instance-spec.ts";
import { startNatsServer } from "../../test/support/nats-server.ts";
import { type Figure, median, short } from "./figure.ts";
import { lattice } from "./guest-engine.ts";
import { type ManyNodes, startManyNodes } from "./many-nodes.ts";
import { startProgram } from "./program.ts";
import type { ViewHeap } from "./programs/view-heap.ts";
import { spokenModule } from "./speaking-node.ts";
import { childrenOf, untilComplete } from "./test-lattice.ts";

/** What one loss came to; seconds, each from the kill but the first. */
interface Loss {
  /** From the loss being noticed until all run elsewhere. */
  readonly relocated: number;
  readonly noticed: number;
  readonly running: number;
  readonly answering: number;
}

/**
 * kill -9 of a node and its engine, with 1,000 of the 5,000 instances that five nodes have: from the control plane
 * calling one of them unreachable until all run elsewhere. Fails unless each then runs exactly where its fact said, answers,
 * and nothing else was moved.
 */
export async function relocateThousand(name: string): Promise<Figure> {
  const losses: Loss[] = [];
  for (let round = 0; round < 3; round += 1) losses.push(await loseOneOfFive());
  const of = (part: keyof Loss) => short(median(losses.map((loss) => loss[part])));
  const note =
    `median of ${losses.map(({ relocated }) => short(relocated)).join(", ")}; from the kill itself: ` +
    `noticed after ${of("noticed")} s, all running after ${of("running")} s, all called and answered after ${of("answering")} s`;
  return { name, value: median(losses.map(({ relocated }) => relocated)), unit: "s", note };
}

/**
 * The command that starts one instance where a hundred nodes have a hundred each, until it is answered; the node that
 * is chosen answers at once. Its bytes cross the bus four times: the baseline is two plain echoes.
 */
export async function placeAmongHundred(name: string): Promise<Figure> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startNatsServer());
  const bus = await connectNats({ servers: server.url, name: "benchmark", connectTimeoutMs: 5_000 });
  stack.defer(() => bus.close());
  stack.use(await startProgram("./programs/plain-echo.ts", [server.url, "echo"]));
  stack.use(await startProgram("./programs/speaking-nodes.ts", [server.url, "100", "100"]));
  stack.use(await startProgram("./programs/control-plane.ts", [server.url]));
  const control = askControl(bus, lattice);
  const instances = await untilComplete(control, 100);
  if (instances !== 10_000) throw new Error(`complete, but with ${instances} instances`);
  let askedAt = 0;
  bus.subscribe(filterFor("node.instance.start", { lattice }), () => (askedAt = performance.now()));

  const command = { module: { digest: spokenModule }, name: "greeter" };
  const payload = new TextEncoder().encode(JSON.stringify(command));
  const whole: number[] = [];
  const untilAsked: number[] = [];
  const echoes: number[] = [];
  const takers = new Set<string | undefined>();
  for (let start = 0; start < 1_200; start += 1) {
    const echoed = performance.now();
    await bus.request("echo", payload, { timeoutMs: 10_000 });
    const began = performance.now();
    const { instances: started } = await control("ctl.instance.start", command);
    const now = performance.now();
    if (askedAt < began) throw new Error("no node was heard being asked");
    takers.add(started[0]?.nodeId);
    if (start < 200) continue;
    echoes.push(began - echoed);
    untilAsked.push(askedAt - began);
    whole.push(now - began);
  }
  if (takers.size !== 100) throw new Error(`only ${takers.size} of the nodes were given instances`);
  const value = median(whole);
  const echo = median(echoes);
  const note =
    `${whole.length} starts one after the other, p95 ${short(whole.toSorted((a, b) => a - b)[Math.floor(whole.length * 0.95)])} ms; against two plain echoes. ` +
    `The node is asked after ${short(median(untilAsked))} ms, one echo taken off that is ${short(median(untilAsked) - echo)} ms in the control plane`;
  return { name, value, unit: "ms", baseline: 2 * echo, ratio: value / (2 * echo), note };
}

/** The heap of a view of 100 nodes with 1,000 instances each, after a collection, per instance. */
export async function viewBytes(name: string): Promise<Figure> {
  const measured = async (shape: ViewHeap) => {
    using program = await startProgram("./programs/view-heap.ts", []);
    return await program.ask<number>(shape);
  };
  const value = await measured({ nodes: 100, instancesPerNode: 1_000, heard: "live" });
  const replayed = await measured({ nodes: 100, instancesPerNode: 1_000, heard: "replayed" });
  const spread = await measured({ nodes: 1_000, instancesPerNode: 100, heard: "live" });
  const note = `heard live, each with a grant and a restart policy; told again ${short(replayed)} B; of 1,000 nodes × 100 ${short(spread)} B`;
  return { name, value, unit: "B", note };
}

async function loseOneOfFive(): Promise<Loss> {
  await using under = await startManyNodes(5);
  const { bus, control } = under;
  const module = { digest: await under.store("echo") };
  for (let batch = 0; batch < 5; batch += 1) {
    const name = `batch-${batch}`;
    await control("ctl.instance.start", { module, name, count: 1_000, onNodeLoss: "relocate" });
  }
  const before = await allInstances(under);
  const victim = "node-2";
  const meant = before.filter(({ nodeId }) => nodeId === victim).map(({ instanceId }) => instanceId);
  if (meant.length !== 1_000) throw new Error(`${meant.length} instances were on the node, not 1000`);

  const elsewhere = new Map<string, string>();
  const waiting = new Set(meant);
  const { promise: allRun, resolve } = Promise.withResolvers<number>();
  bus.subscribe(filterFor("fact", { lattice, noun: "instance", verb: "running" }), (message) => {
    const { data } = decode(message.data).value as FactOf<"instance.running">;
    elsewhere.set(data.instanceId, parametersOf("fact", message.subject).node ?? "");
    waiting.delete(data.instanceId);
    if (waiting.size === 0) resolve(performance.now());
  });
  await bus.flush();
  const killed = performance.now();
  await killNode(under, victim);
  const noticed = await untilOutOfReach(under, meant[0] ?? "", victim);
  const running = await allRun;
  for (let from = 0; from < meant.length; from += 100)
    await Promise.all(meant.slice(from, from + 100).map((instanceId) => callEcho(under, instanceId)));
  const answering = performance.now();
  assertMoved(before, await allInstances(under), victim, elsewhere);
  return {
    relocated: (running - noticed) / 1_000,
    noticed: (noticed - killed) / 1_000,
    running: (running - killed) / 1_000,
    answering: (answering - killed) / 1_000,
  };
}

/** The agent first, then what it would otherwise still tell to end: nobody may hand over. */
async function killNode({ nodes }: ManyNodes, nodeId: string): Promise<void> {
  const node = nodes.get(nodeId);
  if (node === undefined) throw new Error(`there is no ${nodeId}`);
  const engines = childrenOf(node.pid);
  const ended = node.kill();
  for (const pid of engines) process.kill(pid, "SIGKILL");
  await ended;
}

/** When the control plane first says that it is unreachable, or already elsewhere. */
async function untilOutOfReach({ control }: ManyNodes, instanceId: string, nodeId: string): Promise<number> {
  for (;;) {
    const { instance } = await control("ctl.instance.query", { instanceId });
    if (instance.status === "unreachable" || instance.nodeId !== nodeId) return performance.now();
    await delay(systemClock, 2);
  }
}

async function callEcho({ bus }: ManyNodes, instanceId: string): Promise<void> {
  const subject = subjectFor("call", { lattice, target: instanceId, operation: "echo" });
  const answer = await bus.request(subject, new Uint8Array(32), { timeoutMs: 10_000 });
  if (answer.data.length !== 32) throw new Error(`${instanceId} did not echo`);
}

async function allInstances({ control }: ManyNodes): Promise<InstanceSummary[]> {
  const all: InstanceSummary[] = [];
  for (let after: string | undefined = ""; after !== undefined;) {
    const { instances, next }: { instances: InstanceSummary[]; next?: string | undefined } = await control(
      "ctl.instance.list",
      after === "" ? {} : { after },
    );
    all.push(...instances);
    after = next;
  }
  return all;
}

/** What was on the lost node runs where its fact said, one incarnation later; everything else is as it was. */
function assertMoved(
  before: readonly InstanceSummary[],
  after: readonly InstanceSummary[],
  lost: string,
  elsewhere: ReadonlyMap<string, string>,
): void {
  const lines = (instances: readonly InstanceSummary[]) =>
    instances.map((one) => `${one.instanceId} ${one.nodeId} ${one.incarnation} ${one.status}`).join("\n");
  const expected = before.map((one) =>
    one.nodeId === lost
      ? { ...one, nodeId: elsewhere.get(one.instanceId) ?? "nowhere", incarnation: 2 }
      : one,
  );
  if (lines(after) !== lines(expected)) throw new Error("what runs is not what was to be moved");
}
