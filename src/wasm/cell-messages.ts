import type { NatsOptions } from "../bus/nats-client.ts";
import type { ErrorBody } from "../protocol/errors.ts";
import type { Assignment } from "../protocol/instance-spec.ts";
import type { EngineEvent, GuestSpec } from "./engine.ts";
import type { ComponentCode } from "./components/admit-component.ts";
import type { CoreGuestKind } from "./guests/guest.ts";

/** What a cell is started with. */
export interface CellSettings {
  readonly lattice: string;
  readonly nodeId: string;
  readonly bus: NatsOptions;
  /** Shared with the watchdog; see marks.ts. */
  readonly marks: SharedArrayBuffer;
  readonly suspendedCallsMax: number;
}

/** A compiled module as cells share it; the key is digest and memory limit, which is part of the code. */
export type SharedModule =
  | {
      readonly key: string;
      readonly guestKind: CoreGuestKind;
      readonly module: WebAssembly.Module;
      readonly maySuspend: boolean;
    }
  | {
      readonly key: string;
      readonly guestKind: "component";
      readonly component: ComponentCode;
      /** Every export is entered suspendably, whatever it imports. */
      readonly maySuspend: true;
    };

/** A request to a cell; `id` comes back with its answer. */
export type ToCell =
  | { type: "module"; shared: SharedModule }
  | { type: "drop-module"; key: string }
  | { type: "start"; id: number; slot: number; moduleKey: string; spec: GuestSpec }
  | { type: "stop"; id: number; instanceId: string }
  | { type: "grant"; id: number; instanceId: string; capabilities: readonly Assignment[] }
  | { type: "held"; id: number; tokens: readonly string[] }
  | { type: "close"; id: number };

/** An answer of a cell, or something that happened in it. */
export type FromCell =
  | { type: "ready" }
  | { type: "done"; id: number; value: unknown }
  | { type: "refused"; id: number; error: ErrorBody }
  | { type: "event"; event: EngineEvent };
