/**
 * What follows an opcode. Source: WebAssembly core specification 3.0, "Binary Format: Instructions", and the
 * legacy exception handling proposal. Instructions that need more than stepping over (`special`) are read in
 * scan-code.ts; `unknown` ones are refused.
 */
export const immediates = {
  unknown: 0,
  none: 1,
  /** One LEB128 of any width: an index, a label, a constant. */
  leb: 2,
  twoLebs: 3,
  bytes4: 4,
  bytes8: 5,
  /** Alignment and offset, and a memory index in between if bit 6 of the alignment is set. */
  memory: 6,
  memoryAndLane: 7,
  lane: 8,
  bytes16: 9,
  special: 10,
} as const;

/** A value of {@link immediates}. */
export type Immediates = (typeof immediates)[keyof typeof immediates];

/** The opcodes that scan-code.ts treats by name. */
export const opcode = {
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  try: 0x06,
  end: 0x0b,
  callRef: 0x14,
  returnCallRef: 0x15,
  delegate: 0x18,
  branchTable: 0x0e,
  selectTyped: 0x1c,
  tryTable: 0x1f,
  globalGet: 0x23,
  globalSet: 0x24,
  memoryGrow: 0x40,
  refNull: 0xd0,
  refEq: 0xd3,
  refAsNonNull: 0xd4,
  branchOnNull: 0xd5,
  branchOnNonNull: 0xd6,
  gcPrefix: 0xfb,
  miscPrefix: 0xfc,
  simdPrefix: 0xfd,
  atomicPrefix: 0xfe,
} as const;

const { none, leb, twoLebs, memory, memoryAndLane, lane, special } = immediates;

/** Immediates by one-byte opcode. */
export const plainOpcodes: Uint8Array = table(0x100, [
  [[0x00, 0x01], none], // unreachable, nop
  [[0x02, 0x04], special], // block, loop, if
  [[0x05], none], // else
  [[0x06], special], // try
  [[0x07, 0x09], leb], // catch, throw, rethrow
  [[0x0a], none], // throw_ref
  [[0x0b], special], // end
  [[0x0c, 0x0d], leb], // br, br_if
  [[0x0e], special], // br_table
  [[0x0f], none], // return
  [[0x10], leb], // call
  [[0x11], twoLebs], // call_indirect
  [[0x12], leb], // return_call
  [[0x13], twoLebs], // return_call_indirect
  [[0x14, 0x15], special], // call_ref, return_call_ref
  [[0x18], special], // delegate
  [[0x19, 0x1b], none], // catch_all, drop, select
  [[0x1c], special], // select t
  [[0x1f], special], // try_table
  [[0x20, 0x22], leb], // local.get, local.set, local.tee
  [[0x23, 0x24], special], // global.get, global.set
  [[0x25, 0x26], leb], // table.get, table.set
  [[0x28, 0x3e], memory], // loads and stores
  [[0x3f], leb], // memory.size
  [[0x40], special], // memory.grow
  [[0x41, 0x42], leb], // i32.const, i64.const
  [[0x43], immediates.bytes4], // f32.const
  [[0x44], immediates.bytes8], // f64.const
  [[0x45, 0xc4], none], // numeric, sign extension
  [[0xd0], special], // ref.null
  [[0xd1], none], // ref.is_null
  [[0xd2], leb], // ref.func
  [[0xd3, 0xd6], special], // ref.eq … br_on_non_null
  [[0xfb, 0xfe], special], // prefixes
]);

/** Immediates behind 0xFC: saturating conversions, bulk memory, tables. */
export const miscOpcodes: Uint8Array = table(18, [
  [[0, 7], none], // saturating truncation
  [[8], twoLebs], // memory.init
  [[9], leb], // data.drop
  [[10], twoLebs], // memory.copy
  [[11], leb], // memory.fill
  [[12], twoLebs], // table.init
  [[13], leb], // elem.drop
  [[14], twoLebs], // table.copy
  [[15, 17], leb], // table.grow, table.size, table.fill
]);

/** Immediates behind 0xFD: SIMD and relaxed SIMD (from 0x100). */
export const simdOpcodes: Uint8Array = table(0x114, [
  [[0, 11], memory],
  [[12, 13], immediates.bytes16], // v128.const, i8x16.shuffle
  [[14, 20], none],
  [[21, 34], lane],
  [[35, 83], none],
  [[84, 91], memoryAndLane],
  [[92, 93], memory],
  [[94, 0x113], none],
  // Numbers that no instruction has; a later proposal may give them immediates.
  [[0x9a], immediates.unknown],
  [[0xa2], immediates.unknown],
  [[0xa5, 0xa6], immediates.unknown],
  [[0xaf, 0xb0], immediates.unknown],
  [[0xb2, 0xb4], immediates.unknown],
  [[0xbb], immediates.unknown],
  [[0xc2], immediates.unknown],
  [[0xc5, 0xc6], immediates.unknown],
  [[0xcf, 0xd0], immediates.unknown],
  [[0xd2, 0xd4], immediates.unknown],
  [[0xe2], immediates.unknown],
  [[0xee], immediates.unknown],
]);

/** Immediates behind 0xFE: atomics, which also work on memories that are not shared. */
export const atomicOpcodes: Uint8Array = table(0x4f, [
  [[0x00, 0x02], memory], // notify, wait32, wait64
  [[0x03], lane], // atomic.fence, one reserved byte
  [[0x10, 0x4e], memory],
]);

/** A table of `size` entries: each row sets one number or an inclusive range, later rows over earlier ones. */
function table(
  size: number,
  rows: readonly (readonly [readonly [first: number, last?: number], Immediates])[],
): Uint8Array {
  const kinds = new Uint8Array(size);
  for (const [[first, last = first], kind] of rows) kinds.fill(kind, first, last + 1);
  return kinds;
}
