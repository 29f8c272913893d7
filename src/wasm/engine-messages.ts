import type { NatsOptions } from "../bus/nats-client.ts";
import type { ErrorBody } from "../protocol/errors.ts";
import type { Assignment, InstanceLimits } from "../protocol/instance-spec.ts";
import type { EngineEvent, GuestSpec, HeldQuestion } from "./engine.ts";

/** What an engine process is started with. */
export interface EngineSettings {
  readonly lattice: string;
  readonly nodeId: string;
  readonly bus: NatsOptions;
  readonly cells: number;
}

/** A request to the engine process; `id` comes back with its answer. */
export type ToEngine =
  | { type: "settings"; id: number; settings: EngineSettings }
  | { type: "admit"; id: number; digest: string; moduleFile: string; limits: InstanceLimits }
  | { type: "start"; id: number; spec: GuestSpec }
  | { type: "stop"; id: number; instanceId: string }
  | { type: "grant"; id: number; instanceId: string; capabilities: readonly Assignment[] }
  | { type: "held"; id: number; question: HeldQuestion }
  | { type: "close"; id: number };

/** An answer of the engine process, or something that happened in it. */
export type FromEngine =
  | { type: "done"; id: number; value: unknown }
  | { type: "refused"; id: number; error: ErrorBody }
  | { type: "event"; event: EngineEvent };
