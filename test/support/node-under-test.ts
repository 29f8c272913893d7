import { createHash } from "node:crypto";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { onTestFinished } from "vitest";
import { type NodeAgent, type NodeAgentOptions, startNodeAgent } from "../../actors/node-agent/node-agent.ts";
import { ask, type QuestionOf } from "../../src/bus/ask.ts";
import type { Bus } from "../../src/bus/bus.ts";
import { seededChance } from "../../src/chance.ts";
import { filterFor } from "../../src/protocol/addresses.ts";
import { decode } from "../../src/protocol/codec.ts";
import type { Fact } from "../../src/protocol/facts.ts";
import type { NodeInstancesDone } from "../../src/protocol/node-commands.ts";
import type { SubjectName } from "../../src/protocol/subjects.ts";
import { fakeEngines, type FakeEngines } from "./fake-engine.ts";
import { type MemoryServer, startMemoryServer } from "./memory-bus.ts";
import { type VirtualClock, virtualClock } from "./virtual-clock.ts";

/** A node agent on a bus in memory, with everything that a test touches it by. */
export interface NodeUnderTest {
  readonly server: MemoryServer;
  readonly nodeBus: Bus;
  readonly bus: Bus;
  readonly clock: VirtualClock;
  readonly engines: FakeEngines;
  readonly agent: NodeAgent;
  /** Facts heard on the bus, heartbeats left out. */
  readonly facts: Fact[];
  /** Heartbeats heard on the bus. */
  readonly heartbeats: Fact[];
  ask<Name extends SubjectName>(name: Name, question: QuestionOf<Name>): Promise<NodeInstancesDone>;
  /** A module that the node holds. */
  putModule(): Promise<string>;
  start(instanceIds: string[], template?: Record<string, unknown>): Promise<NodeInstancesDone>;
  stop(): Promise<void>;
}

const moduleBytes = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);

/** The digest of the module that `putModule` puts. */
export const moduleDigest = `sha256:${createHash("sha256").update(moduleBytes).digest("hex")}`;

/** Starts a node that is ready. */
export async function nodeUnderTest(options: Partial<NodeAgentOptions> = {}): Promise<NodeUnderTest> {
  const clock = virtualClock(1_700_000_000_000);
  const server = startMemoryServer({ clock });
  const bus = server.connect();
  const nodeBus = server.connect();
  const engines = fakeEngines(() => clock.now());
  const facts: Fact[] = [];
  const heartbeats: Fact[] = [];
  bus.subscribe(filterFor("fact", { lattice: "default" }), ({ data }) => {
    const fact = decode(data).value as Fact;
    if (fact.kind === "node.heartbeat") heartbeats.push(fact);
    else if ((fact.kind as string) !== "node.replay") facts.push(fact);
  });
  const agent = startNodeAgent({
    lattice: "default",
    nodeId: "n1",
    bus: nodeBus,
    clock,
    chance: seededChance(1),
    log: pino({ level: "silent" }),
    labels: { zone: "a" },
    modulesDirectory: await mkdtemp(join(tmpdir(), "wasmatrix-modules-")),
    instancesMax: 2_000,
    launchEngine: engines.launch,
    providers: [],
    ...options,
  });
  await agent.ready;
  const asking = (name: SubjectName, question: never) =>
    ask(bus, name, { lattice: "default", node: "n1" }, question, { timeoutMs: 60_000 });
  let stopped: Promise<void> | undefined;
  const node: NodeUnderTest = {
    server,
    nodeBus,
    bus,
    clock,
    engines,
    agent,
    facts,
    heartbeats,
    ask: asking as unknown as NodeUnderTest["ask"],
    async putModule() {
      const piece = { digest: moduleDigest, sizeBytes: moduleBytes.length, offset: 0, bytes: moduleBytes };
      await asking("node.module.put", piece as never);
      return moduleDigest;
    },
    start: (instanceIds, template = {}) =>
      node.ask("node.instance.start", {
        instanceIds,
        template: {
          moduleHash: moduleDigest,
          commandId: "c1",
          createdAt: "2026-01-01T00:00:00.000Z",
          ...template,
        },
      } as never),
    stop: () => (stopped ??= agent.stop("the test is over")),
  };
  onTestFinished(() => node.stop());
  return node;
}
