import { systemClock } from "../clock.ts";
import { engineLimits } from "../limits.ts";
import { errorBody } from "../protocol/errors.ts";
import { type CellPool, createCellPool } from "./cell-pool.ts";
import type { EngineSettings, FromEngine, ToEngine } from "./engine-messages.ts";
import type { GuestSpec } from "./engine.ts";
import { createModuleShelf, type ModuleShelf } from "./module-shelf.ts";

// The entry point of the engine process: steers cells, and carries no call.

const clock = systemClock;
let pool: CellPool | undefined;
const shelf: ModuleShelf = createModuleShelf(clock, (key) => pool?.dropModule(key));

const tell = (message: FromEngine) => {
  // An agent that is gone cannot be told anything; `disconnect` ends this process.
  if (process.connected) process.send?.(message);
};

process.on("disconnect", () => process.exit(0));
// Ctrl-C reaches the whole process group; the agent drains and then ends its engine.
process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => undefined);

process.on("message", (message: ToEngine) => {
  Promise.try(() => perform(message)).then(
    (value) => {
      tell({ type: "done", id: message.id, value });
      if (message.type === "close") process.disconnect?.();
    },
    (error: unknown) =>
      tell({ type: "refused", id: message.id, error: errorBody(error, new Date(clock.now()).toISOString()) }),
  );
});

function perform(message: ToEngine): unknown {
  switch (message.type) {
    case "settings":
      return begin(message.settings);
    case "admit":
      return shelf
        .get(message.digest, message.moduleFile, message.limits)
        .then(({ shared, sizeBytes }) => ({ guestKind: shared.guestKind, sizeBytes }));
    case "start":
      return start(message.spec);
    case "stop":
      return running().stop(message.instanceId);
    case "grant":
      return running().grant(message.instanceId, message.capabilities);
    case "held":
      return running().held(message.question);
    case "close":
      return running().close();
  }
}

async function begin({ lattice, nodeId, bus, cells }: EngineSettings): Promise<{ cells: number }> {
  pool = createCellPool(cells, { lattice, nodeId, bus }, clock, {
    event: (event) => tell({ type: "event", event }),
    left: (shared) => shelf.release(shared.key),
    broken(reason) {
      process.stderr.write(
        `${JSON.stringify({ level: "fatal", component: "engine", node: nodeId, msg: reason })}\n`,
      );
      process.exit(1);
    },
  });
  await pool.ready;
  tellLoad(pool);
  return { cells: pool.cells };
}

async function start(spec: GuestSpec): Promise<void> {
  const { shared } = await shelf.get(spec.digest, spec.moduleFile, spec.limits);
  shelf.hold(shared.key);
  try {
    await running().start(spec, shared);
  } catch (error) {
    shelf.release(shared.key);
    throw error;
  }
}

function running(): CellPool {
  if (pool === undefined) throw new Error("the engine has no settings yet");
  return pool;
}

function tellLoad(of: CellPool): void {
  const { cells, instances } = of;
  tell({ type: "event", event: { type: "load", rssBytes: process.memoryUsage.rss(), cells, instances } });
  clock.setTimeout(() => tellLoad(of), engineLimits.loadMs);
}
