import type { ByteReader } from "./byte-reader.ts";
import { invalidModule } from "./invalid-module.ts";

/** The value types that a guest may use; references of the GC proposal are not among them. */
export type ValueType = "i32" | "i64" | "f32" | "f64" | "v128" | "funcref" | "externref" | "exnref";

const valueTypes: Readonly<Record<number, ValueType>> = {
  0x7f: "i32",
  0x7e: "i64",
  0x7d: "f32",
  0x7c: "f64",
  0x7b: "v128",
  0x70: "funcref",
  0x6f: "externref",
  0x69: "exnref",
};

/** Parameters and results of a function. */
export interface FunctionType {
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
}

/** `(i32, i32) -> i32`, as it stands in messages. */
export function signature(type: FunctionType): string {
  return `(${type.parameters.join(", ")}) -> ${type.results.length === 1 ? type.results[0] : `(${type.results.join(", ")})`}`;
}

/** One value type; refuses those of the GC and typed-reference proposals by name. */
export function readValueType(reader: ByteReader): ValueType {
  const offset = reader.at;
  const byte = reader.byte();
  const type = valueTypes[byte];
  if (type !== undefined) return type;
  if (byte >= 0x63 && byte <= 0x74) throw garbageCollected(`reference type 0x${byte.toString(16)}`, offset);
  throw reader.malformed(`0x${byte.toString(16)} is not a value type`, offset);
}

/** What a table or an element segment holds: functions or external references. */
export function readReferenceType(reader: ByteReader): "funcref" | "externref" {
  const offset = reader.at;
  const type = readValueType(reader);
  if (type === "funcref" || type === "externref") return type;
  throw reader.malformed(`${type} cannot stand here, only funcref and externref can`, offset);
}

/** Steps over the type of a null: of functions, external references or exceptions. */
export function skipNullType(reader: ByteReader): void {
  const offset = reader.at;
  const first = reader.bytes[offset] as number;
  // Everything but a one-byte negative number is the index of a type.
  if (first < 0x40 || first >= 0x80) throw garbageCollected("a null of a type of its own", offset);
  const type = readValueType(reader);
  if (!type.endsWith("ref")) throw reader.malformed(`${type} has no null`, offset);
}

/** Steps over the type of a block: none, one value type, or the index of a function type. */
export function skipBlockType(reader: ByteReader): void {
  const start = reader.at;
  const first = reader.byte();
  // 0x40 is no type at all; below it are indices of one byte.
  if (first <= 0x40) return;
  reader.at = start;
  // A one-byte negative number is a value type; everything else is a signed 33-bit number.
  if (first < 0x80) readValueType(reader);
  else reader.skipLeb();
}

/** The refusal of garbage-collected WebAssembly, whose objects no memory limit reaches. */
export function garbageCollected(what: string, offset: number) {
  return invalidModule(
    `byte ${offset}: ${what} belongs to garbage-collected WebAssembly, which is not admitted`,
    {
      fix: "Compile without the GC and typed function reference proposals: their objects escape the memory limit.",
      offset,
    },
  );
}
