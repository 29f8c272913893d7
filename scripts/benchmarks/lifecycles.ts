import { failureInAnswer } from "../../src/bus/guest-answers.ts";
import { filterFor, subjectFor } from "../../src/protocol/addresses.ts";
import { decode } from "../../src/protocol/codec.ts";
import type { FactOf } from "../../src/protocol/facts.ts";
import { type Figure, median, short } from "./figure.ts";
import { lattice } from "./guest-engine.ts";
import { rssBytesOf, startTestLattice, type TestLattice } from "./test-lattice.ts";

/** The start command of one instance until its answer says `running`, where the node has the module. */
export async function startKnown(name: string): Promise<Figure> {
  await using under = await startTestLattice();
  const digest = await under.store("echo");
  const times: number[] = [];
  for (let start = 0; start < 300; start += 1) {
    const began = performance.now();
    await under.control("ctl.instance.start", { module: { digest }, instanceId: `known-${start}` });
    if (start >= 50) times.push(performance.now() - began);
  }
  return {
    name,
    value: median(times),
    unit: "ms",
    note: `${times.length} starts one after the other; p95 ${short(percentile(times, 0.95))} ms`,
  };
}

/** One command that starts a thousand, until it is answered. */
export async function startThousand(name: string): Promise<Figure> {
  await using under = await startTestLattice();
  const digest = await under.store("echo");
  const seconds: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    const began = performance.now();
    const { instances } = await under.control("ctl.instance.start", {
      module: { digest },
      name: "thousand",
      count: 1_000,
    });
    seconds.push((performance.now() - began) / 1_000);
    if (instances.some((instance) => instance.status !== "running")) throw new Error("not all of them run");
    await under.control("ctl.instance.stop", { name: "thousand" });
  }
  return {
    name,
    value: median(seconds),
    unit: "s",
    note: `median of ${seconds.length}: ${seconds.map(short).join(", ")}`,
  };
}

/** Resident memory of the node's processes with 5,000 instances that have all answered, beyond the empty node. */
export async function density(name: string): Promise<Figure> {
  await using under = await startTestLattice();
  const digest = await under.store("echo");
  const agentAndAll = () => [rssBytesOf(under.node.pid, "alone"), rssBytesOf(under.node.pid)] as const;
  const [emptyAgent, empty] = agentAndAll();
  const instanceIds: string[] = [];
  for (let batch = 0; batch < 5; batch += 1) {
    const { instances } = await under.control("ctl.instance.start", {
      module: { digest },
      name: `batch-${batch}`,
      count: 1_000,
    });
    instanceIds.push(...instances.map(({ instanceId }) => instanceId));
  }
  const [, idle] = agentAndAll();
  for (let from = 0; from < instanceIds.length; from += 100)
    await Promise.all(instanceIds.slice(from, from + 100).map((instanceId) => callEcho(under, instanceId)));
  const [agent, all] = agentAndAll();
  const perInstance = (bytes: number) => bytes / instanceIds.length / 1_024;
  const note =
    `RSS of node agent (${short(perInstance(agent - emptyAgent))} KB each) and engine; ` +
    `empty ${short(empty / 2 ** 20)} MB; before their first call ${short(perInstance(idle - empty))} KB each`;
  return { name, value: perInstance(all - empty), unit: "KB", note };
}

/** From the failed answer of a call that traps to the fact that its instance runs again, with `always`. */
export async function crashRestart(name: string): Promise<Figure> {
  await using under = await startTestLattice();
  const digest = await under.store("crasher");
  const runningAt = new Map<string, number>();
  const waiting = new Map<string, () => void>();
  under.bus.subscribe(filterFor("fact", { lattice, noun: "instance", verb: "running" }), (message) => {
    const { data } = decode(message.data).value as FactOf<"instance.running">;
    if (data.restarts === 0) return;
    runningAt.set(data.instanceId, performance.now());
    waiting.get(data.instanceId)?.();
  });
  const { instances } = await under.control("ctl.instance.start", {
    module: { digest },
    name: "crasher",
    count: 300,
    restartPolicy: { type: "always" },
  });
  const times: number[] = [];
  for (const [index, { instanceId }] of instances.entries()) {
    const running = new Promise<void>((resolve) => void waiting.set(instanceId, resolve));
    const subject = subjectFor("call", { lattice, target: instanceId, operation: "trap" });
    const answer = await under.bus.request(subject, new Uint8Array(), { timeoutMs: 10_000 });
    const crashedAt = performance.now();
    if (failureInAnswer(answer)?.code !== "GUEST_TRAPPED") throw new Error("the guest did not trap");
    await running;
    if (index >= 50) times.push((runningAt.get(instanceId) ?? Number.NaN) - crashedAt);
  }
  return {
    name,
    value: median(times),
    unit: "ms",
    note: `${times.length} instances, one crash each; p95 ${short(percentile(times, 0.95))} ms`,
  };
}

async function callEcho({ bus }: TestLattice, instanceId: string): Promise<void> {
  const subject = subjectFor("call", { lattice, target: instanceId, operation: "echo" });
  const answer = await bus.request(subject, new Uint8Array(32), { timeoutMs: 10_000 });
  if (answer.data.length !== 32) throw new Error(`${instanceId} did not echo`);
}

function percentile(values: readonly number[], share: number): number | undefined {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length * share)];
}
