/** Bytes of a part of a binary. */
export type Bytes = readonly number[];

/** Sections by number, as they stand in the binary. */
export const id = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
  tag: 13,
} as const;

/** Magic number and version of a core module. */
export const header: Bytes = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

/** A module of these sections, right or wrong: nothing is checked. */
export function binary(...sections: readonly Bytes[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([header, ...sections].flat());
}

/** A section with its true length. */
export function section(number: number, contents: Bytes): Bytes {
  return [[number], leb(contents.length), contents].flat();
}

/** A counted list. */
export function list(...entries: readonly Bytes[]): Bytes {
  return [leb(entries.length), ...entries].flat();
}

/** A list of `count` times the same entry. */
export function repeated(count: number, entry: Bytes): Bytes {
  return [leb(count), ...Array.from({ length: count }, () => entry)].flat();
}

/** An unsigned LEB128. */
export function leb(value: number): Bytes {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80);
  return [...bytes, rest];
}

/** A name with its length. */
export function name(text: string): Bytes {
  const utf8 = new TextEncoder().encode(text);
  return [...leb(utf8.length), ...utf8];
}

/** The body of a function: runs of locals, instructions, and the `end` behind them. */
export function body(instructions: Bytes, locals: readonly Bytes[] = []): Bytes {
  const contents = [list(...locals), instructions, [0x0b]].flat();
  return [leb(contents.length), contents].flat();
}

/** The type section with `() -> ()` alone. */
export const voidType: Bytes = section(id.type, list([0x60, 0, 0]));

/** One function of type 0, exported as `f`, and what must stand between its declaration and its export. */
export function oneFunction(instructions: Bytes, between: readonly Bytes[] = []): readonly Bytes[] {
  return [
    section(id.function, list([0])),
    ...between,
    section(id.export, list([...name("f"), 0, 0])),
    section(id.code, list(body(instructions))),
  ];
}

/** A module of one function `f`, whose instructions may be anything. */
export function functionModule(instructions: Bytes, between: readonly Bytes[] = []): Uint8Array<ArrayBuffer> {
  return binary(voidType, ...oneFunction(instructions, between));
}
