import type { Bus } from "../../src/bus/bus.ts";
import type { Clock } from "../../src/clock.ts";
import type { Speaker } from "../../src/lattice/speaker.ts";
import type { Log } from "../../src/log.ts";
import type { ModuleCache } from "../../src/modules/module-cache.ts";
import type { OciRegistry } from "../../src/modules/oci/registry.ts";
import type { EngineSeat } from "./engine-child.ts";
import type { Renewals } from "./renewals.ts";
import type { RepeatedChanges } from "./repeated-changes.ts";
import type { InstanceTable } from "./instance-table.ts";

/** What the commands of a node work on. */
export interface NodeWorld {
  readonly lattice: string;
  readonly nodeId: string;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  readonly speaker: Speaker;
  readonly seat: EngineSeat;
  readonly instances: InstanceTable;
  readonly changes: RepeatedChanges;
  readonly cache: ModuleCache;
  /** Absent where modules come from the lattice alone. */
  readonly registry: OciRegistry | undefined;
  readonly instancesMax: number;
  /** Absent on a lattice without roots: what is granted there nobody has to prove. */
  readonly renewals?: Renewals | undefined;
  /** Whether it was told to end. */
  isLeaving(): boolean;
  /** Whether this node takes new instances; false for one that only hosts providers, and for one that leaves. */
  takesInstances(): boolean;
}
