import type { AnyActorLogic, AnyEventObject } from "xstate";
import type { RestartPolicyConfig } from "../restart-policy/restart-policy.ts";

/**
 * When a child is started again (OTP's words, `sup_princ`): `permanent` after any end, `transient` after a crash,
 * `temporary` never.
 */
type ChildRestart = "permanent" | "transient" | "temporary";

/** A child as its supervisor is told to run it. */
export interface ChildSpec {
  /** Its name among its siblings. */
  id: string;
  /**
   * Any actor logic. A machine that takes the event `stop` where it is, is sent it and has `stopMs` to reach a final
   * state; everything else is ended on the spot, which runs its clean-up function or aborts its signal. A callback
   * that throws in its receiver is not cleaned up by XState, so it must not let errors out of there.
   */
  logic: AnyActorLogic;
  /** Given to each of its lives alike. */
  input?: unknown;
  restart: ChildRestart;
  /** How crashes are answered; without one at once, up to the intensity of the supervisor. */
  policy?: RestartPolicyConfig;
  /** Milliseconds; more than the default for a child that itself waits for children. */
  stopMs?: number;
}

/** What happened to a child; emitted by its supervisor, and sent to the supervisor's parent where it has one. */
export type ChildFact =
  /** `restarts` is 0 for the first start. */
  | { type: "child.started"; id: string; restarts: number }
  /** It ended where it should not have. */
  | { type: "child.crashed"; id: string; reason: string }
  /** It will be started again at `at` (milliseconds since the epoch), that is `delayMs` from now. */
  | { type: "child.restarting"; id: string; attempt: number; delayMs: number; at: number }
  /** It is given up for good; only `child.restart` brings it back. */
  | { type: "child.failed"; id: string; reason: string }
  /** It ended as it should: completed, was told to, or is temporary. */
  | { type: "child.stopped"; id: string; reason: string };

/** An event that a child sent to its parent, passed on. */
export interface ChildTold {
  type: "child.told";
  id: string;
  event: AnyEventObject;
}

/** Where a child is. */
type ChildStatus = "starting" | "running" | "crashed" | "restarting" | "stopping" | "failed" | "stopped";

/** A child as the snapshot of its supervisor shows it. */
export interface ChildReport {
  readonly id: string;
  readonly status: ChildStatus;
  readonly restarts: number;
  /** Why it is not running. */
  readonly reason?: string;
}

/** The report after a fact about that child. */
export function reportAfter(report: ChildReport, fact: ChildFact): ChildReport {
  const status = statusAfter[fact.type];
  const { id, restarts, reason } = report;
  if (fact.type === "child.started") return { id, status, restarts: fact.restarts };
  if ("reason" in fact) return { id, status, restarts, reason: fact.reason };
  return { id, status, restarts, ...(reason === undefined ? {} : { reason }) };
}

const statusAfter = {
  "child.started": "running",
  "child.crashed": "crashed",
  "child.restarting": "restarting",
  "child.failed": "failed",
  "child.stopped": "stopped",
} as const satisfies Record<ChildFact["type"], ChildStatus>;
