import { parentPort, workerData } from "node:worker_threads";
import type { Bus } from "../bus/bus.ts";
import { connectNats } from "../bus/nats-bus.ts";
import { replyTokenOf } from "../bus/bus.ts";
import { watchLostCalls } from "../bus/lost-calls.ts";
import { createRefusals } from "../bus/refusals.ts";
import { createStreams } from "../bus/streams.ts";
import { systemClock } from "../clock.ts";
import { engineLimits } from "../limits.ts";
import { errorBody } from "../protocol/errors.ts";
import type { CellSettings, FromCell, SharedModule, ToCell } from "./cell-messages.ts";
import { createDenials } from "./denials.ts";
import { createMarks } from "./marks.ts";
import type { CellParts, Resident } from "./cell-parts.ts";
import { prepareToLoad } from "./load-shared.ts";
import { createResident } from "./resident.ts";
import { createRunQueue } from "./run-queue.ts";

// The entry point of a cell: a thread that holds many instances and answers their calls on its own connection.

const port = parentPort;
if (port === null) throw new Error("a cell runs as a worker thread");
const settings = workerData as CellSettings;
const clock = systemClock;
const tell = (message: FromCell) => port.postMessage(message);

const bus = await connectNats(settings.bus);
watchLostCalls({ lattice: settings.lattice, bus, clock });
const refusals = createRefusals(clock, (refusal) =>
  tell({ type: "event", event: { type: "bus.refused", ...refusal } }),
);
bus.onStatus((status) => {
  if (status.type === "refused") refusals.add(status.operation, status.subject);
});
const residents = new Map<string, Resident>();
const modules = new Map<string, SharedModule>();
const marks = createMarks(settings.marks);
const suspended = new Set<Resident>();
const streams = createStreams({ lattice: settings.lattice, holder: settings.nodeId, bus, clock });

const parts: CellParts = {
  lattice: settings.lattice,
  nodeId: settings.nodeId,
  bus,
  clock,
  marks,
  streams,
  runQueue: createRunQueue(marks),
  suspended,
  suspendedCallsMax: settings.suspendedCallsMax,
  denied: createDenials(clock, (event) => tell({ type: "event", event })),
  used: (instanceId, use) => tell({ type: "event", event: { type: "capability.used", instanceId, ...use } }),
  crashed(instanceId, crash) {
    residents.delete(instanceId);
    tell({ type: "event", event: { type: "instance.crashed", instanceId, crash } });
  },
};

const flushed = oneFlushAtATime(bus);

const sweep = () => {
  if (suspended.size > 0) {
    const nowMs = clock.now();
    for (const resident of suspended) resident.checkDeadline(nowMs);
  }
  clock.setTimeout(sweep, engineLimits.deadlineSweepMs);
};
sweep();

port.on("message", (message: ToCell) => {
  switch (message.type) {
    case "module":
      modules.set(message.shared.key, message.shared);
      return;
    case "drop-module":
      modules.delete(message.key);
      return;
    case "start":
      return answerWith(message.id, () => start(message));
    case "stop":
      return answerWith(message.id, () => stop(message.instanceId));
    case "grant":
      return answerWith(message.id, () => residents.get(message.instanceId)?.grant(message.capabilities));
    case "held":
      return answerWith(message.id, () => held(new Set(message.tokens)));
    case "close":
      return answerWith(message.id, close);
  }
});

tell({ type: "ready" });

async function start({ slot, moduleKey, spec }: Extract<ToCell, { type: "start" }>): Promise<void> {
  const shared = modules.get(moduleKey);
  if (shared === undefined) throw new Error(`module ${moduleKey} was not sent to this cell`);
  await prepareToLoad(shared);
  residents.set(spec.instanceId, createResident(parts, slot, spec, shared));
  await flushed();
}

async function stop(instanceId: string): Promise<void> {
  const resident = residents.get(instanceId);
  if (resident === undefined) return;
  await resident.stop();
  // It may have been started again meanwhile, and that one is another.
  if (residents.get(instanceId) === resident) residents.delete(instanceId);
}

async function held(tokens: ReadonlySet<string>): Promise<string[]> {
  // The round trip brings what the server had sent before, and answers given before arrive before this one.
  await flushed();
  const messages = [...residents.values()].flatMap((resident) => resident.unanswered());
  return messages.map(replyTokenOf).filter((token) => tokens.has(token));
}

async function close(): Promise<void> {
  await Promise.all([...residents.keys()].map(stop));
  streams.close("its node ended");
  await bus.close();
}

function answerWith(id: number, work: () => unknown): void {
  Promise.try(work).then(
    (value) => tell({ type: "done", id, value }),
    (error: unknown) =>
      tell({ type: "refused", id, error: errorBody(error, new Date(clock.now()).toISOString()) }),
  );
}

/** Those who ask in one turn of the event loop share one round trip to the server. */
function oneFlushAtATime(on: Bus): () => Promise<void> {
  let shared: Promise<void> | undefined;
  return () => {
    shared ??= new Promise<void>((resolve, reject) => {
      setImmediate(() => {
        shared = undefined;
        on.flush().then(resolve, reject);
      });
    });
    return shared;
  };
}
