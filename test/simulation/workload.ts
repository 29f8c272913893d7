import type { Bus } from "../../src/bus/bus.ts";
import type { Chance } from "../../src/chance.ts";
import { askControl, type ControlName } from "../../src/client/control.ts";
import { delay } from "../../src/clock.ts";
import { subjectFor } from "../../src/protocol/addresses.ts";
import { asFailure } from "../../src/protocol/errors.ts";
import type { Member } from "./members.ts";
import { applicationData, lattice, type SimulatedWorld } from "./simulated-world.ts";

/** A client that commands for as long as it is let. */
export interface Workload {
  /** Sends nothing any more; what was sent is still awaited. */
  stop(): void;
  readonly commands: number;
}

type Question = Record<string, unknown>;

const moduleBytes = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);

/** What a client believes of what it owns: nobody else commands these, and it does one thing at a time. */
interface Owned {
  /** Instances with ids of their own that are said to live. */
  readonly alive: string[];
  readonly stopped: string[];
  readonly names: string[];
}

/**
 * Begins to command the lattice as an operator would. An id whose command failed is never used again: what became
 * of it is not known.
 */
export function beginWorkload(
  world: SimulatedWorld,
  member: Member,
  { nodes, paceMs, ownedMax }: { nodes: readonly string[]; paceMs: number; ownedMax: number },
): Workload {
  const chance = world.chance(`workload ${member.id}`);
  const { clock } = member.host.process;
  const bus = member.bus?.bus as Bus;
  const send = askControl(bus, lattice, clock);
  const owned: Owned = { alive: [], stopped: [], names: [] };
  let commands = 0;
  let isStopped = false;
  let digest = "";

  async function command(name: ControlName, question: Question): Promise<Question | undefined> {
    commands += 1;
    const commandId = `${member.id}-${commands}`;
    const isQuestion = name.endsWith(".list") || name.endsWith(".query") || name === "ctl.module.put";
    const asked = isQuestion ? question : { ...question, commandId };
    const timeoutMs = 4_000 + Math.floor(chance() * 26_000);
    const about = { client: member.id, commandId, name, question };
    world.observe({ type: "command.sent", ...about });
    const sentAt = world.queue.now;
    const settle = (outcome: string, answer: Question | undefined) =>
      world.observe({
        type: "command.settled",
        ...about,
        outcome,
        answer,
        tookMs: world.queue.now - sentAt,
        timeoutMs,
      });
    try {
      const answer = (await send(name, asked as never, timeoutMs)) as Question;
      settle("done", answer);
      return answer;
    } catch (error) {
      settle(asFailure(error).code, undefined);
      return undefined;
    }
  }

  async function change(
    name: ControlName,
    question: Question,
    lists: string[][],
    id: string,
  ): Promise<boolean> {
    for (const list of lists) remove(list, id);
    return (await command(name, question)) !== undefined;
  }

  async function start(): Promise<void> {
    const id = chance() < 0.3 ? owned.stopped.shift() : undefined;
    const instanceId = id ?? `${member.id}-i${commands}`;
    const question = { module: { digest }, instanceId, ...drawSpec(chance, nodes) };
    if (await change("ctl.instance.start", question, [], instanceId)) owned.alive.push(instanceId);
  }

  async function startNamed(): Promise<void> {
    const name = `${member.id}-g${commands}`;
    const count = 1 + Math.floor(chance() * 4);
    const question = { module: { digest }, name, count, ...drawSpec(chance, nodes) };
    if (await change("ctl.instance.start", question, [], name)) owned.names.push(name);
  }

  async function stop(instanceId: string): Promise<void> {
    if (await change("ctl.instance.stop", { instanceId }, [owned.alive], instanceId))
      owned.stopped.push(instanceId);
  }

  /** The node that it was on may have it still, and come back. */
  async function stopWhatMoved(): Promise<void> {
    const told = await command("ctl.instance.list", {});
    const instances = (told?.["instances"] ?? []) as {
      instanceId: string;
      incarnation: number;
      since: string;
    }[];
    const [latest] = instances
      .filter(({ instanceId, incarnation }) => incarnation > 1 && owned.alive.includes(instanceId))
      .toSorted((one, other) => (one.since < other.since ? 1 : -1));
    if (latest !== undefined) await stop(latest.instanceId);
  }

  async function withOne(act: (id: string) => Promise<unknown>): Promise<void> {
    const id = pick(owned.alive, chance);
    if (id !== undefined) await act(id);
  }

  const store = { capabilityId: "store", providerType: "kv", permissions: ["kv:read", "kv:write"] };
  const deeds: readonly [number, () => Promise<unknown>][] = [
    [8, () => (owned.alive.length < ownedMax ? start() : Promise.resolve())],
    [2, () => (owned.names.length < 2 ? startNamed() : Promise.resolve())],
    [3, () => withOne(stop)],
    [4, () => withOne((instanceId) => again("ctl.instance.restart", { instanceId }, instanceId))],
    [
      4,
      () => withOne((instanceId) => command("ctl.capability.revoke", { instanceId, capabilityId: "store" })),
    ],
    [4, () => withOne((instanceId) => command("ctl.capability.assign", { instanceId, assignment: store }))],
    [5, () => withOne((instanceId) => command("ctl.instance.relocate", { instanceId }))],
    [
      2,
      async () => {
        const name = pick(owned.names, chance);
        if (name === undefined) return;
        const question = { name, count: 1 + Math.floor(chance() * 4) };
        if (await change("ctl.instance.scale", question, [owned.names], name)) owned.names.push(name);
      },
    ],
    [1, () => withOne((instanceId) => command("ctl.instance.query", { instanceId }))],
    [1, () => command("ctl.instance.list", {})],
    [2, stopWhatMoved],
    [0.6, () => command("ctl.node.drain", { nodeId: pick(nodes, chance), timeoutMs: 8_000 })],
    [2, () => command("ctl.node.resume", { nodeId: pick(nodes, chance) })],
    [
      1,
      () =>
        command("ctl.node.label", {
          nodeId: pick(nodes, chance),
          labels: { tier: chance() < 0.5 ? "a" : null },
        }),
    ],
    [0.5, () => command("ctl.provider.start", { provider: "kv-2", kind: "kv", nodeId: pick(nodes, chance) })],
    [0.5, () => command("ctl.provider.stop", { provider: "kv-2" })],
    [0.5, () => command("ctl.provider.update", { provider: "kv-2" })],
    [6, () => withOne((target) => call(bus, target, chance() < 0.1 ? "trap" : "put"))],
  ];
  const total = deeds.reduce((sum, [weight]) => sum + weight, 0);

  /** A restart leaves it alive where it succeeds; where it does not, who knows. */
  async function again(name: ControlName, question: Question, id: string): Promise<void> {
    if (await change(name, question, [owned.alive], id)) owned.alive.push(id);
  }

  async function work(): Promise<void> {
    while (digest === "" && !isStopped) {
      const stored = await command("ctl.module.put", { bytes: moduleBytes });
      digest = (stored?.["digest"] as string | undefined) ?? "";
      await delay(clock, 100 + chance() * paceMs);
    }
    while (!isStopped) {
      let left = chance() * total;
      const deed = deeds.find(([weight]) => (left -= weight) < 0)?.[1];
      await deed?.();
      await delay(clock, 20 + chance() * paceMs);
    }
  }
  work().catch((error: unknown) => world.onError(error));

  return {
    stop() {
      isStopped = true;
    },
    get commands() {
      return commands;
    },
  };
}

async function call(bus: Bus, target: string, operation: string): Promise<void> {
  const payload = new TextEncoder().encode(applicationData);
  await bus
    .request(subjectFor("call", { lattice, target, operation }), payload, { timeoutMs: 6_000 })
    .catch(() => undefined);
}

function drawSpec(chance: Chance, nodes: readonly string[]): Question {
  const kind = chance();
  const restartPolicy =
    kind < 0.2
      ? { type: "never" }
      : kind < 0.55
        ? { type: "always" }
        : {
            type: "backoff",
            delayMs: 50 + Math.floor(chance() * 700),
            maxDelayMs: 200 + Math.floor(chance() ** 2 * 3_000),
            maxRetries: Math.floor(chance() * 6),
          };
  const isPinned = chance() < 0.05;
  return {
    restartPolicy,
    onNodeLoss: chance() < 0.65 ? "relocate" : "stay",
    ...(isPinned ? { nodeId: pick(nodes, chance) } : {}),
    ...(chance() < 0.15 ? { spread: "zone" } : {}),
    capabilities:
      chance() < 0.8
        ? [{ capabilityId: "store", providerType: "kv", permissions: ["kv:read", "kv:write"] }]
        : [],
  };
}

function pick<One>(list: readonly One[], chance: Chance): One | undefined {
  return list[Math.floor(chance() * list.length)];
}

function remove(list: string[], one: string): void {
  const index = list.indexOf(one);
  if (index >= 0) list.splice(index, 1);
}
