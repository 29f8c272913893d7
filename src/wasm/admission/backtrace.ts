import { moduleLimits } from "../../limits.ts";
import { printable } from "./invalid-module.ts";

/** One call of a guest that was in progress when it trapped. */
export interface GuestFrame {
  /** As the name section of the module says, or `function 12` if it says nothing. */
  readonly functionName: string;
  readonly functionIndex: number;
  /** Of the instruction, in bytes from the beginning of the admitted module. */
  readonly offset: number;
}

/** Why a guest ended abnormally. */
type TrapReason = "fuel" | "memory" | "stack" | "trap";

/** What can be said of a trap. */
export interface TrapReport {
  readonly reason: TrapReason;
  /** A sentence without an end: `memory access out of bounds`. */
  readonly text: string;
  /** The innermost call first. */
  readonly frames: readonly GuestFrame[];
}

/** The values of the globals that metering appends, as they were after the trap. */
export interface TrapCounters {
  readonly fuel?: number;
  readonly grown?: number;
}

/**
 * Says why a guest trapped. An error is blamed on fuel only if it is the metering's own trap and the fuel is below
 * zero; a refused `memory.grow` is named beside the trap, since the guest may have died of something else later.
 */
export function trapReport(error: unknown, counters: TrapCounters = {}): TrapReport {
  const message = printable(error instanceof Error ? error.message : String(error));
  const frames = backtraceOf(error);
  if (message === "unreachable" && counters.fuel !== undefined && counters.fuel < 0) {
    return { reason: "fuel", text: "the guest used up its fuel", frames };
  }
  if (error instanceof RangeError && message === "Maximum call stack size exceeded") {
    return { reason: "stack", text: "the guest's calls are nested too deeply", frames };
  }
  if (counters.grown === -1) {
    return { reason: "memory", text: `out of memory: memory.grow was refused, then ${message}`, frames };
  }
  return { reason: "trap", text: message, frames };
}

/**
 * The guest's frames of an error's stack, innermost first, at most `moduleLimits.backtraceFramesMax`. Frames of the host
 * are left out. Names come from the guest: they are cut, printable, and not to be trusted.
 */
export function backtraceOf(error: unknown): GuestFrame[] {
  const stack = error instanceof Error ? error.stack : undefined;
  if (stack === undefined) return [];
  const frames: GuestFrame[] = [];
  for (const line of stack.split("\n")) {
    const frame = frameOf(line);
    if (frame !== undefined) frames.push(frame);
    if (frames.length === moduleLimits.backtraceFramesMax) break;
  }
  return frames;
}

/**
 * V8 writes `    at name (wasm://wasm/hash:wasm-function[3]:0x45)`, and leaves out name and parentheses if it knows no
 * name. Searched from the end, since a name may hold anything, even what looks like a frame.
 */
function frameOf(line: string): GuestFrame | undefined {
  const behind = line.lastIndexOf(":wasm-function[");
  const position = /^:wasm-function\[(\d+)\]:0x([0-9a-f]+)\)?$/.exec(line.slice(Math.max(behind, 0)));
  if (position === null || !line.startsWith(frameStart)) return undefined;
  const functionIndex = Number(position[1]);
  const head = line.slice(frameStart.length, behind);
  const opening = head.lastIndexOf(" (wasm://wasm/");
  const name = opening < 0 ? undefined : withoutModule(head.slice(0, opening), head.slice(opening));
  return {
    functionName: name === undefined ? `function ${functionIndex}` : printable(name),
    functionIndex,
    offset: Number.parseInt(position[2] ?? "", 16),
  };
}

const frameStart = "    at ";

/** V8 puts the name of a module, if it has one, before that of each function, and before the hash in the address. */
function withoutModule(name: string, url: string): string | undefined {
  const module = /^ \(wasm:\/\/wasm\/(.*)-[0-9a-f]{8}$/.exec(url)?.[1];
  // The module's name alone stands for a function without one.
  if (name === module) return undefined;
  return module !== undefined && name.startsWith(`${module}.`) ? name.slice(module.length + 1) : name;
}
