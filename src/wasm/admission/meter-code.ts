import { moduleLimits } from "../../limits.ts";
import { ByteReader } from "./byte-reader.ts";
import { ByteWriter, lebOf } from "./byte-writer.ts";
import { overLimit } from "./invalid-module.ts";
import type { SectionSpan } from "./module-summary.ts";
import { type CodePoints, scanCode } from "./scan-code.ts";
import { skipLocals } from "./skip-locals.ts";

/** What is added to the code, by the indices of the appended globals. */
export interface CodeMetering {
  /** Globals that the module itself has. */
  readonly globalCount: number;
  readonly grownGlobal: number;
  /** Absent when fuel is not counted. */
  readonly fuelGlobal?: number;
}

/** The contents of the code section, metered. */
export function meterCode(bytes: Uint8Array, section: SectionSpan, metering: CodeMetering): Uint8Array {
  const takeFuel = metering.fuelGlobal === undefined ? undefined : takeFuelCode(metering.fuelGlobal);
  const recordGrowth = recordGrowthCode(metering.grownGlobal);
  const reader = new ByteReader(bytes, section.start, section.end, "code section");
  const out = new ByteWriter((section.end - section.start) * 2, moduleLimits.meteredBytesMax);
  const count = reader.u32();
  out.u32(count);
  for (let index = 0; index < count; index += 1) {
    const body = reader.within(reader.u32(), `body ${index} of the code section`);
    const start = body.at;
    skipLocals(body);
    const entry = body.at;
    const points = scanCode(body, metering.globalCount);
    const insertions = insertionsOf(entry, points, takeFuel, recordGrowth);
    writeBody(out, bytes, { start, end: body.end }, insertions);
  }
  return out.take();
}

/** Takes one unit and traps below zero. It leaves the operand stack as it was, so it can stand anywhere. */
function takeFuelCode(global: number): Uint8Array {
  const index = lebOf(global);
  const take = [instruction.globalGet, ...index, instruction.i32Const, 1, instruction.i32Sub];
  const keep = [instruction.globalSet, ...index, instruction.globalGet, ...index];
  const isBelowZero = [instruction.i32Const, 0, instruction.i32LessThan];
  const trap = [instruction.if, noBlockType, instruction.unreachable, instruction.end];
  return Uint8Array.from([...take, ...keep, ...isBelowZero, ...trap]);
}

/** Keeps what `memory.grow` left on the stack in a global, too. */
function recordGrowthCode(global: number): Uint8Array {
  const index = lebOf(global);
  return Uint8Array.from([instruction.globalSet, ...index, instruction.globalGet, ...index]);
}

const instruction = {
  unreachable: 0x00,
  if: 0x04,
  end: 0x0b,
  globalGet: 0x23,
  globalSet: 0x24,
  i32Const: 0x41,
  i32LessThan: 0x48,
  i32Sub: 0x6b,
} as const;

const noBlockType = 0x40;

interface Insertion {
  readonly at: number;
  readonly code: Uint8Array;
}

function insertionsOf(
  entry: number,
  { loopHeads, memoryGrows }: CodePoints,
  takeFuel: Uint8Array | undefined,
  recordGrowth: Uint8Array,
): Insertion[] {
  const growths = memoryGrows.map((at) => ({ at, code: recordGrowth }));
  if (takeFuel === undefined) return growths;
  const insertions = [entry, ...loopHeads].map((at) => ({ at, code: takeFuel }));
  // An entry and a loop head are never at the same offset as each other or as a `memory.grow`.
  return growths.length === 0 ? insertions : [...insertions, ...growths].toSorted((a, b) => a.at - b.at);
}

function writeBody(
  out: ByteWriter,
  bytes: Uint8Array,
  body: { start: number; end: number },
  insertions: readonly Insertion[],
): void {
  let size = body.end - body.start;
  for (const { code } of insertions) size += code.length;
  if (size > moduleLimits.functionBodyBytesMax) {
    throw overLimit("bytes of a metered function", size, moduleLimits.functionBodyBytesMax, body.start);
  }
  out.u32(size);
  let copied = body.start;
  for (const { at, code } of insertions) {
    out.copy(bytes, copied, at);
    out.copy(code);
    copied = at;
  }
  out.copy(bytes, copied, body.end);
}
