import { readFileSync } from "node:fs";
import type { ByteStreams } from "../../../src/byte-source.ts";
import type { Bus, BusMessage } from "../../../src/bus/bus.ts";
import { systemClock } from "../../../src/clock.ts";
import { encode } from "../../../src/protocol/codec.ts";
import { InstanceLimits } from "../../../src/protocol/instance-spec.ts";
import type { CellParts } from "../../../src/wasm/cell-parts.ts";
import { admitComponent } from "../../../src/wasm/components/admit-component.ts";
import { createComponentGuest } from "../../../src/wasm/components/component-guest.ts";
import { createGrants } from "../../../src/wasm/grants.ts";
import { createGuestHost } from "../../../src/wasm/guest-host.ts";
import type { GuestHost } from "../../../src/wasm/guests/guest.ts";
import { createMarks, createMarksBuffer } from "../../../src/wasm/marks.ts";
import { createRunQueue } from "../../../src/wasm/run-queue.ts";
import { lattice } from "../guest-engine.ts";
import { answerQuestions } from "../program.ts";

// A component and its host, and nothing of the bus: what a provider would say is there, a microtask later.

/** How often to get, and through which host: one that answers, or the cell's own, with its grants and its run queue. */
export interface GetsRound {
  readonly through: "stub" | "cell";
  readonly gets: number;
}

/** What it came to. */
export interface GetsResult {
  readonly perSecond: number;
  /** Of this process, user and system, per get. */
  readonly cpuUs: number;
}

const noStreams: ByteStreams = {
  serve: () => "",
  open: () => ({ read: () => Promise.resolve(undefined), cancel: () => undefined }),
};
const found = encode({ value: new Uint8Array(32) }, "msgpack");
const limits = InstanceLimits.parse({});

const [file = ""] = process.argv.slice(2);
const code = await admitComponent(readFileSync(file), limits.memoryBytes, systemClock);
const guests = {
  stub: createComponentGuest(code, stubHost()),
  cell: createComponentGuest(code, cellHost()),
};

answerQuestions(async ({ through, gets }: GetsRound): Promise<GetsResult> => {
  const guest = guests[through];
  if (guest.fuel !== undefined) guest.fuel.value = limits.fuel;
  const cpu = process.cpuUsage();
  const began = performance.now();
  const answer = await guest.call("loop", encode([gets], "json"));
  const seconds = (performance.now() - began) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  if (Buffer.from(answer).toString() !== String(gets)) throw new Error("the guest got something else");
  return { perSecond: gets / seconds, cpuUs: (user + system) / gets };
});

function stubHost(): GuestHost {
  const unused = () => {
    throw new Error("the guest asks for more than a bucket");
  };
  return {
    instanceId: "guest0",
    name: "guest0",
    config: {},
    streams: noStreams,
    callCapability: () => Promise.resolve(found),
    beginCapability: () => Promise.resolve(found),
    capabilityFor: (_providerType, wanted) => wanted ?? "store",
    beginGuestCall: unused,
    linkedTarget: () => undefined,
    suspend: (work) => work(),
    answer: unused,
    now: () => systemClock.now(),
    sleep: unused,
    after: unused,
    log: unused,
  };
}

/** The host as a cell makes it, on a bus that has the answer to everything. */
function cellHost(): GuestHost {
  const answer: BusMessage = {
    subject: "",
    data: found,
    replyTo: undefined,
    header: () => undefined,
    headerNames: () => [],
    respond: () => undefined,
  };
  const bus: Pick<Bus, "request"> = { request: () => Promise.resolve(answer) };
  const marks = createMarks(createMarksBuffer());
  const parts: CellParts = {
    lattice,
    nodeId: "node",
    bus: bus as Bus,
    clock: systemClock,
    streams: noStreams,
    marks,
    runQueue: createRunQueue(marks),
    suspended: new Set(),
    suspendedCallsMax: 1,
    denied: () => undefined,
    used: () => undefined,
    crashed: () => undefined,
  };
  const capability = {
    capabilityId: "store",
    providerType: "kv",
    permissions: ["kv:read"],
    config: {},
  };
  const grants = createGrants("guest0", [capability]);
  return createGuestHost(parts, {
    slot: 0,
    spec: {
      instanceId: "guest0",
      name: undefined,
      incarnation: 1,
      digest: "",
      moduleFile: "",
      limits,
      config: {},
      capabilities: [capability],
      reuse: true,
    },
    log: () => undefined,
    grants: () => grants,
    inProgress: () => undefined,
    isCurrent: () => true,
  });
}
