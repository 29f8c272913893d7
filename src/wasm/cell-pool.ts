import type { Clock } from "../clock.ts";
import { engineLimits } from "../limits.ts";
import { asFailure, Failure } from "../protocol/errors.ts";
import type { Assignment } from "../protocol/instance-spec.ts";
import type { CellSettings, SharedModule } from "./cell-messages.ts";
import { type CellThread, startCell } from "./cell-thread.ts";
import type { EngineEvent, GuestSpec, HeldAnswer, HeldQuestion } from "./engine.ts";
import { createHeldCalls } from "./held-calls.ts";
import { readMarks } from "./marks.ts";
import { createWatchdog, type Watched } from "./watchdog.ts";

/** An instance and where it is. */
interface Placed {
  readonly slot: number;
  spec: GuestSpec;
  readonly shared: SharedModule;
  cell: PooledCell;
}

interface PooledCell {
  readonly thread: CellThread;
  readonly placed: Map<number, Placed>;
  /** Who overran, when the watchdog ended it, and since when it ran. */
  blamed: Placed | undefined;
  stuckSinceMs: number | undefined;
}

/** The cells of an engine. */
export interface CellPool {
  readonly ready: Promise<void>;
  readonly cells: number;
  readonly instances: number;
  start(spec: GuestSpec, shared: SharedModule): Promise<void>;
  stop(instanceId: string): Promise<void>;
  grant(instanceId: string, capabilities: readonly Assignment[]): Promise<void>;
  held(question: HeldQuestion): Promise<HeldAnswer>;
  dropModule(key: string): void;
  close(): Promise<void>;
}

/** What a pool tells. */
export interface CellPoolListener {
  event(event: EngineEvent): void;
  /** The instance is no longer in any cell. */
  left(shared: SharedModule): void;
  /** A replacement did not start: the engine cannot go on. */
  broken(reason: string): void;
}

/**
 * Spreads instances over cells, keeps a spare one warm, and moves the neighbours of a guest whose cell had to be
 * ended; they are stateless and innocent, so nothing of it counts as their crash.
 */
export function createCellPool(
  size: number,
  settings: Omit<CellSettings, "marks" | "suspendedCallsMax">,
  clock: Clock,
  listener: CellPoolListener,
): CellPool {
  const watchdog = createWatchdog(clock);
  const heldCalls = createHeldCalls(clock);
  const cells = new Set<PooledCell>();
  const instances = new Map<string, Placed>();
  let lastSlot = 0;
  let closing = false;
  let spare: PooledCell | undefined;

  const open = (): PooledCell => {
    const suspendedCallsMax = Math.floor(engineLimits.suspendedCallsMax / (size + 1));
    const thread = startCell({ ...settings, suspendedCallsMax }, onEvent, (reason) => onEnd(cell, reason));
    const cell: PooledCell = { thread, placed: new Map(), blamed: undefined, stuckSinceMs: undefined };
    const watched: Watched = {
      marks: thread.marks,
      runLimitMs: (slot) => cell.placed.get(slot)?.spec.limits.timeoutMs,
      overran(slot, sinceMs) {
        cell.blamed = cell.placed.get(slot);
        cell.stuckSinceMs = sinceMs;
        thread.kill("the watchdog ended it");
      },
    };
    watchdog.watch(watched);
    return cell;
  };

  const onEvent = (event: EngineEvent) => {
    if (event.type === "instance.crashed") remove(event.instanceId);
    listener.event(event);
  };

  const remove = (instanceId: string) => {
    const placed = instances.get(instanceId);
    if (placed === undefined) return;
    instances.delete(instanceId);
    placed.cell.placed.delete(placed.slot);
    listener.left(placed.shared);
  };

  const onEnd = (cell: PooledCell, reason: string) => {
    if (closing) return;
    if (cell === spare || !cells.delete(cell)) return listener.broken(`a cell did not start: ${reason}`);
    // A thread that ended by itself, out of memory say, was running somebody; if nobody, then nobody is blamed.
    const blamed = cell.blamed ?? cell.placed.get(readMarks(cell.thread.marks).slot);
    const neighbours = [...cell.placed.values()].filter((placed) => placed !== blamed);
    if (cell.stuckSinceMs !== undefined) heldCalls.ended(cell, cell.stuckSinceMs, instances.values());
    const replacement = spare ?? open();
    cells.add(replacement);
    spare = open();
    for (const placed of neighbours) {
      placed.cell = replacement;
      replacement.placed.set(placed.slot, placed);
      replacement.thread.start(placed.slot, placed.spec, placed.shared).catch((error: unknown) => {
        crashed(placed.spec, "cell-lost", `could not be moved: ${asFailure(error).message}`);
      });
    }
    const event = { reason, blamed: blamed?.spec.instanceId, moved: neighbours.length };
    listener.event({ type: "cell.lost", ...event });
    if (blamed === undefined) return;
    const overran = cell.blamed !== undefined;
    crashed(
      blamed.spec,
      overran ? "deadline" : "cell-lost",
      overran
        ? `ran longer than ${blamed.spec.limits.timeoutMs} ms without coming to rest`
        : `its cell ended: ${reason}`,
    );
  };

  const crashed = ({ instanceId }: GuestSpec, reason: "deadline" | "cell-lost", message: string) => {
    remove(instanceId);
    const at = new Date(clock.now()).toISOString();
    listener.event({ type: "instance.crashed", instanceId, crash: { reason, message, at } });
  };

  /** The emptiest cell; one more when all are as full as is good for them. */
  const roomiest = (): PooledCell => {
    let best: PooledCell | undefined;
    for (const cell of cells) if (best === undefined || cell.placed.size < best.placed.size) best = cell;
    if (best !== undefined && best.placed.size < engineLimits.instancesPerCellMax) return best;
    const added = open();
    cells.add(added);
    return added;
  };

  const find = (instanceId: string): Placed => {
    const placed = instances.get(instanceId);
    if (placed !== undefined) return placed;
    throw new Failure("INSTANCE_NOT_FOUND", `${instanceId} does not run in this engine`);
  };

  for (let index = 0; index < size; index += 1) cells.add(open());
  const ready = Promise.all([...cells].map((cell) => cell.thread.ready)).then(() => {
    spare = open();
  });

  return {
    ready,
    get cells() {
      return cells.size;
    },
    get instances() {
      return instances.size;
    },
    async start(spec, shared) {
      if (instances.has(spec.instanceId)) {
        throw new Failure("INSTANCE_EXISTS", `${spec.instanceId} runs in this engine already`);
      }
      if (instances.size >= engineLimits.instancesMax) {
        throw new Failure(
          "RESOURCE_EXHAUSTED",
          `this node holds ${engineLimits.instancesMax} instances, the most that one engine can`,
          {
            fix: "Start it on another node: wasmatrix node",
          },
        );
      }
      lastSlot += 1;
      const placed: Placed = { slot: lastSlot, spec, shared, cell: roomiest() };
      instances.set(spec.instanceId, placed);
      placed.cell.placed.set(placed.slot, placed);
      try {
        await placed.cell.thread.start(placed.slot, spec, shared);
      } catch (error) {
        // When the cell ended under it, it was moved, and that start is what counts.
        if (instances.get(spec.instanceId) === placed && cells.has(placed.cell)) {
          const moved = asFailure(error).code === "COMMUNICATION_FAILURE";
          if (moved) return;
          remove(spec.instanceId);
        }
        throw error;
      }
    },
    async stop(instanceId) {
      const placed = instances.get(instanceId);
      if (placed === undefined) return;
      await placed.cell.thread.stop(instanceId).catch(() => undefined);
      if (instances.get(instanceId) === placed) remove(instanceId);
    },
    async grant(instanceId, capabilities) {
      const placed = find(instanceId);
      // First in the spec: a cell that ends now must not bring the old grants back.
      placed.spec = { ...placed.spec, capabilities };
      await placed.cell.thread.grant(instanceId, capabilities);
    },
    held: (question) => heldCalls.ask(cells, question),
    dropModule(key) {
      for (const cell of cells) cell.thread.dropModule(key);
    },
    async close() {
      closing = true;
      spare?.thread.kill("closed");
      await Promise.all([...cells].map((cell) => cell.thread.close().catch(() => undefined)));
    },
  };
}
