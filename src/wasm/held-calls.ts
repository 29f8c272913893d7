import { within } from "../bus/deadline.ts";
import type { Clock } from "../clock.ts";
import { lostCallLimits } from "../limits.ts";
import { Failure } from "../protocol/errors.ts";
import type { CellThread } from "./cell-thread.ts";
import type { GuestSpec, HeldAnswer, HeldQuestion } from "./engine.ts";

/** A cell and the instances in it. */
interface CellOfInstances {
  readonly thread: Pick<CellThread, "held">;
  readonly placed: ReadonlyMap<number, { readonly spec: GuestSpec }>;
}

/** Asks the cells of an engine who holds a call, and remembers those that were stuck when they ended. */
export interface HeldCalls {
  ask(cells: Iterable<CellOfInstances>, question: HeldQuestion): Promise<HeldAnswer>;
  /** The cell was ended because it was stuck since then, before anything was moved out of it. */
  ended(cell: CellOfInstances, sinceMs: number, instances: Iterable<{ readonly spec: GuestSpec }>): void;
}

/** Remembers nothing yet. */
export function createHeldCalls(clock: Clock): HeldCalls {
  const stuck = new Map<string, { sinceMs: number; endedMs: number }>();

  async function askCell(
    cell: CellOfInstances,
    guests: ReadonlySet<string>,
    tokens: readonly string[],
  ): Promise<{ held: readonly string[]; unsure: readonly string[] }> {
    const here = [...cell.placed.values()].flatMap(({ spec }) => addressesOf(spec));
    const asked = [...new Set(here)].filter((address) => guests.has(address));
    if (asked.length === 0) return { held: [], unsure: [] };
    try {
      const late = () => new Failure("TIMEOUT", "the cell is busy");
      const held = await within(clock, lostCallLimits.cellTimeoutMs, cell.thread.held(tokens), late);
      return { held, unsure: [] };
    } catch {
      // A cell that ended meanwhile is known to be lost when it is asked for the next time.
      return { held: [], unsure: asked };
    }
  }

  return {
    async ask(cells, { guests, tokens }) {
      const wanted = new Set(guests);
      const answers = await Promise.all([...cells].map((cell) => askCell(cell, wanted, tokens)));
      const nowMs = clock.now();
      return {
        held: answers.flatMap(({ held }) => held),
        unsure: answers.flatMap(({ unsure }) => unsure),
        stuck: guests.flatMap((target) => {
          const found = stuck.get(target);
          return found === undefined
            ? []
            : [{ target, sinceMs: nowMs - found.sinceMs, endedMs: nowMs - found.endedMs }];
        }),
      };
    },
    ended(cell, sinceMs, instances) {
      const inside = new Set([...cell.placed.values()].flatMap(({ spec }) => addressesOf(spec)));
      const elsewhere = new Set<string>();
      const placed = new Set([...cell.placed.values()].map(({ spec }) => spec.instanceId));
      for (const { spec } of instances)
        if (!placed.has(spec.instanceId)) for (const address of addressesOf(spec)) elsewhere.add(address);
      for (const address of inside) {
        stuck.delete(address);
        if (!elsewhere.has(address)) stuck.set(address, { sinceMs, endedMs: clock.now() });
      }
      for (const [address, { endedMs }] of stuck) {
        if (stuck.size <= lostCallLimits.lossesMax && endedMs > clock.now() - lostCallLimits.lossMs) break;
        stuck.delete(address);
      }
    },
  };
}

function addressesOf({ instanceId, name }: GuestSpec): string[] {
  return name === undefined ? [instanceId] : [instanceId, name];
}
