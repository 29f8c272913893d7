import { backtraceOf, type GuestFrame } from "../admission/backtrace.ts";
import { GuestExit } from "./guest.ts";
import type { Gauge, GuestEnd } from "./guest.ts";

/** The globals that metering appends to a module; undefined where it was not metered. */
export interface Meters {
  /** Below zero: used up. */
  readonly fuel: Gauge | undefined;
  /** −1: the last `memory.grow` of this call was refused. */
  readonly grown: Gauge | undefined;
}

/** The guest broke a rule of its host: a pointer outside its memory, a host call while it starts, an abort. */
export class GuestFault extends Error {
  override readonly name = "GuestFault";
}

/** The guest ended while it was brought to life; `end` says why. */
export class GuestStillborn extends Error {
  override readonly name = "GuestStillborn";
  readonly end: GuestEnd;

  constructor(end: GuestEnd, cause: unknown) {
    super(`the guest ended while it was started: ${end.message}`, { cause });
    this.end = end;
  }
}

/** Reads the reason out of whatever a guest's call, or its start, threw. */
export function guestEnd(thrown: unknown, meters: Meters): GuestEnd {
  if (thrown instanceof GuestStillborn) return thrown.end;
  return { ...reason(thrown, meters), backtrace: backtraceOf(thrown).map(shownFrame) };
}

/** The two gauges among an instance's exports. */
export function metersOf(exports: WebAssembly.Instance["exports"]): Meters {
  return { fuel: gauge(exports["__wasmatrix_fuel"]), grown: gauge(exports["__wasmatrix_grown"]) };
}

function reason(thrown: unknown, meters: Meters): Omit<GuestEnd, "backtrace"> {
  if (thrown instanceof GuestExit) {
    return { type: "exit", message: thrown.message, exitCode: thrown.exitCode };
  }
  const isTrap = thrown instanceof WebAssembly.RuntimeError;
  if ((isTrap || thrown instanceof GuestFault) && (meters.fuel?.value ?? 0) < 0) {
    return { type: "fuel", message: "the guest used up the fuel of this call" };
  }
  if (isTrap && meters.grown?.value === -1) {
    return { type: "memory", message: `trapped after more memory was refused: ${thrown.message}` };
  }
  if (isTrap) return { type: "trap", message: thrown.message };
  if (isStackOverflow(thrown)) return { type: "trap", message: "stack overflow" };
  if (thrown instanceof WebAssembly.Exception) {
    return { type: "trap", message: "the guest threw an exception that nothing caught" };
  }
  return { type: "fault", message: thrown instanceof Error ? thrown.message : String(thrown) };
}

function gauge(exported: WebAssembly.ExportValue | undefined): Gauge | undefined {
  const isNumber = exported instanceof WebAssembly.Global && typeof exported.value === "number";
  return isNumber ? (exported as WebAssembly.Global<number>) : undefined;
}

/** V8's wording; it has no error type of its own for this. */
function isStackOverflow(thrown: unknown): boolean {
  return thrown instanceof RangeError && thrown.message.startsWith("Maximum call stack");
}

/** `name (+0x45)`: the offset is that of the instruction in the admitted module. */
function shownFrame({ functionName, offset }: GuestFrame): string {
  return `${functionName} (+0x${offset.toString(16)})`;
}
