import { systemChance } from "../../chance.ts";
import { guestTalkLimits } from "../../limits.ts";
import type { GuestHost } from "./guest.ts";
import { GuestFault } from "./guest-faults.ts";
import type { GuestLife } from "./guest-life.ts";
import { OutsideMemory } from "./guest-memory.ts";

/** What AssemblyScript's standard library expects of its host. `abort` ends the guest with a `GuestFault`. */
export function assemblyScriptImports(
  life: GuestLife,
  host: GuestHost,
): Record<string, WebAssembly.ImportValue> {
  return {
    abort(message: number, file: number, line: number, column: number): never {
      life.payCall();
      const place = `${stringAt(life, file) || "unknown file"}:${line >>> 0}:${column >>> 0}`;
      throw new GuestFault(`the guest aborted: ${stringAt(life, message) || "no message"} (at ${place})`);
    },
    trace(message: number, count: number, ...values: number[]): void {
      life.payCall();
      host.log(
        "console",
        [stringAt(life, message), ...values.slice(0, Math.max(count, 0)).map(String)].join(" "),
      );
    },
    // Zero is no seed for its generator.
    seed(): number {
      life.payCall();
      return 1 + systemChance();
    },
  };
}

/**
 * A string object: UTF-16 at the pointer, its size in bytes in the four bytes before it
 * (https://www.assemblyscript.org/runtime.html#memory-layout). Null is "", and one that does not lie in memory is
 * named so instead of hiding the message it belongs to.
 */
function stringAt(life: GuestLife, pointer: number): string {
  if (pointer === 0) return "";
  try {
    const size = life.memory.u32(pointer - 4);
    life.memory.range(pointer, size, "a string");
    const bytes = life.memory.read(pointer, Math.min(size, guestTalkLimits.errorTextBytesMax), "a string");
    return Buffer.from(bytes.buffer).toString("utf16le");
  } catch (error) {
    if (error instanceof OutsideMemory) return "(a string outside memory)";
    throw error;
  }
}
