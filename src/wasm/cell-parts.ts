import type { ByteStreams } from "../byte-source.ts";
import type { Bus, BusMessage } from "../bus/bus.ts";
import type { Clock } from "../clock.ts";
import type { Assignment, Crash } from "../protocol/instance-spec.ts";
import type { EngineEvent } from "./engine.ts";
import type { Marks } from "./marks.ts";
import type { RunQueue } from "./run-queue.ts";
import type { GrantUse } from "./used-grants.ts";

/** What the residents of one cell share. */
export interface CellParts {
  readonly lattice: string;
  readonly nodeId: string;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly streams: ByteStreams;
  readonly marks: Marks;
  readonly runQueue: RunQueue;
  /** Calls in progress that wait for something; bounded for the whole cell. */
  readonly suspended: Set<Resident>;
  readonly suspendedCallsMax: number;
  readonly denied: (
    event: Omit<Extract<EngineEvent, { type: "capability.denied" }>, "count" | "more">,
  ) => void;
  readonly used: (instanceId: string, use: GrantUse) => void;
  readonly crashed: (instanceId: string, crash: Crash) => void;
}

/** One instance in a cell. */
export interface Resident {
  readonly slot: number;
  grant(assignments: readonly Assignment[]): void;
  /** Takes no more calls; resolves when those that came are answered. */
  stop(): Promise<void>;
  /** The calls that it has not answered yet. */
  unanswered(): BusMessage[];
  /** Ends the call in progress when its time is up. */
  checkDeadline(nowMs: number): void;
}
