import { moduleLimits } from "../../limits.ts";
import type { ByteReader } from "./byte-reader.ts";
import { overLimit } from "./invalid-module.ts";
import {
  atomicOpcodes,
  immediates,
  type Immediates,
  miscOpcodes,
  opcode,
  plainOpcodes,
  simdOpcodes,
} from "./opcodes.ts";
import { garbageCollected, readValueType, skipBlockType, skipNullType } from "./value-types.ts";

/** Offsets, in ascending order, behind the instructions of a body that metering adds to. */
export interface CodePoints {
  /** Behind each `loop` and its type: where a turn begins. */
  readonly loopHeads: number[];
  /** Behind each `memory.grow`. */
  readonly memoryGrows: number[];
}

/**
 * Reads the instructions of one function body, from behind its locals to its last `end`, and finds the points
 * where metering adds to them. Refuses unknown and GC instructions, too deep nesting, and access to a global
 * that the module does not have: metering appends globals, so that what is out of range here would
 * afterwards reach the guest's own fuel.
 */
export function scanCode(reader: ByteReader, globalCount: number): CodePoints {
  const points: CodePoints = { loopHeads: [], memoryGrows: [] };
  const nesting = new Nesting();
  while (nesting.depth >= 0) {
    const start = reader.at;
    const code = reader.byte();
    const kind = plainOpcodes[code] as Immediates;
    if (kind === immediates.none) continue;
    if (kind !== immediates.special) skipImmediates(reader, kind, code, start);
    else skipSpecial(reader, code, start, { points, nesting, globalCount });
  }
  reader.finish();
  return points;
}

interface Scan {
  readonly points: CodePoints;
  readonly nesting: Nesting;
  readonly globalCount: number;
}

function skipSpecial(reader: ByteReader, code: number, start: number, scan: Scan): void {
  switch (code) {
    case opcode.block:
    case opcode.if:
    case opcode.try:
      skipBlockType(reader);
      return scan.nesting.enter(false, start);
    case opcode.loop:
      skipBlockType(reader);
      scan.points.loopHeads.push(reader.at);
      return scan.nesting.enter(true, start);
    case opcode.tryTable:
      skipTryTable(reader);
      return scan.nesting.enter(false, start);
    case opcode.end:
      return scan.nesting.leave();
    case opcode.delegate:
      reader.skipLeb();
      return scan.nesting.leave();
    case opcode.branchTable:
      // One more label than counted: the default.
      for (let labels = reader.u32(); labels >= 0; labels -= 1) reader.skipLeb();
      return;
    case opcode.selectTyped:
      for (let types = reader.u32(); types > 0; types -= 1) readValueType(reader);
      return;
    case opcode.globalGet:
    case opcode.globalSet:
      return skipGlobal(reader, scan.globalCount);
    case opcode.memoryGrow:
      reader.skipLeb();
      scan.points.memoryGrows.push(reader.at);
      return;
    case opcode.refNull:
      return skipNullType(reader);
    case opcode.miscPrefix:
      return skipPrefixed(reader, miscOpcodes, code, start);
    case opcode.simdPrefix:
      return skipPrefixed(reader, simdOpcodes, code, start);
    case opcode.atomicPrefix:
      return skipPrefixed(reader, atomicOpcodes, code, start);
    default:
      throw garbageCollected(`instruction 0x${code.toString(16)}`, start);
  }
}

function skipPrefixed(reader: ByteReader, table: Uint8Array, prefix: number, start: number): void {
  const code = reader.u32();
  skipImmediates(reader, (table[code] ?? immediates.unknown) as Immediates, prefix, start, code);
}

function skipImmediates(
  reader: ByteReader,
  kind: Immediates,
  code: number,
  start: number,
  subCode?: number,
): void {
  switch (kind) {
    case immediates.none:
      return;
    case immediates.leb:
      return reader.skipLeb();
    case immediates.twoLebs:
      reader.skipLeb();
      return reader.skipLeb();
    case immediates.bytes4:
      return reader.skip(4);
    case immediates.bytes8:
      return reader.skip(8);
    case immediates.bytes16:
      return reader.skip(16);
    case immediates.lane:
      return reader.skip(1);
    case immediates.memory:
      return skipMemoryArgument(reader);
    case immediates.memoryAndLane:
      skipMemoryArgument(reader);
      return reader.skip(1);
    case immediates.special:
    case immediates.unknown: {
      const shown = subCode === undefined ? "" : ` 0x${subCode.toString(16)}`;
      throw reader.malformed(`unknown instruction 0x${code.toString(16)}${shown}`, start);
    }
  }
}

function skipMemoryArgument(reader: ByteReader): void {
  const alignment = reader.u32();
  if (alignment & 0x40) reader.skipLeb();
  reader.skipLeb();
}

function skipTryTable(reader: ByteReader): void {
  skipBlockType(reader);
  for (let clauses = reader.u32(); clauses > 0; clauses -= 1) {
    const start = reader.at;
    const kind = reader.byte();
    if (kind > 3) throw reader.malformed(`unknown catch clause 0x${kind.toString(16)}`, start);
    // catch and catch_ref name a tag; catch_all and catch_all_ref do not.
    if (kind <= 1) reader.skipLeb();
    reader.skipLeb();
  }
}

/** Steps over the index of a global and refuses one that the module does not have. */
export function skipGlobal(reader: ByteReader, globalCount: number): void {
  const start = reader.at;
  const index = reader.u32();
  if (index >= globalCount) throw reader.malformed(`there is no global ${index}`, start);
}

/** Which of the open blocks are loops; refuses nesting that V8 would choke on. */
class Nesting {
  /** Open blocks; −1 once the function itself has ended. */
  depth = 0;
  private loopDepth = 0;
  private readonly isLoop: boolean[] = [];

  enter(isLoop: boolean, offset: number): void {
    this.isLoop[this.depth] = isLoop;
    this.depth += 1;
    if (this.depth > moduleLimits.blockDepthMax) {
      throw overLimit("nested blocks", this.depth, moduleLimits.blockDepthMax, offset);
    }
    if (!isLoop) return;
    this.loopDepth += 1;
    if (this.loopDepth > moduleLimits.loopDepthMax) {
      throw overLimit("nested loops", this.loopDepth, moduleLimits.loopDepthMax, offset);
    }
  }

  leave(): void {
    this.depth -= 1;
    if (this.depth >= 0 && this.isLoop[this.depth]) this.loopDepth -= 1;
  }
}
