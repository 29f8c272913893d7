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
