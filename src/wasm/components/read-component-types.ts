import type { ByteReader } from "../admission/byte-reader.ts";
import { checkExternName, checkLabel } from "./component-names.ts";
import {
  addEntity,
  asynchronous,
  type Entity,
  newScope,
  readCount,
  readIndex,
  type Scope,
  type TypeDefinition,
  unsupported,
} from "./component-scope.ts";
import { readAlias } from "./read-aliases.ts";
import type { NamedType, PrimitiveKind, WitCase, WitFunction, WitType } from "./wit-type.ts";

// Source of all numbers: the component model's `Binary.md`, version 0x0d.

const primitives: readonly PrimitiveKind[] = [
  "string",
  "char",
  "f64",
  "f32",
  "u64",
  "s64",
  "u32",
  "s32",
  "u16",
  "s16",
  "u8",
  "s8",
  "bool",
];
const firstPrimitive = 0x73;

/** A type section, or the entries of one. */
export function readTypes(reader: ByteReader, scope: Scope): void {
  for (let count = readCount(reader, scope, "types"); count > 0; count -= 1) {
    scope.types.push(readType(reader, scope));
  }
}

function readType(reader: ByteReader, scope: Scope): TypeDefinition {
  const offset = reader.at;
  const form = reader.byte();
  switch (form) {
    case 0x3f:
      return readResource(reader, offset);
    case 0x40:
      return { of: "function", type: readFunctionType(reader, scope) };
    case 0x42:
      return { of: "instance", exports: readInstanceType(reader, scope, offset) };
    case 0x41:
      throw unsupported("a component that is handed over to another one", offset);
    case 0x3e:
    case 0x43:
      throw asynchronous("an asynchronous function or resource", offset);
    default:
      return { of: "value", type: readValueForm(form, reader, scope, offset) };
  }
}

function readResource(reader: ByteReader, offset: number): TypeDefinition {
  const representation = 0x7f;
  if (reader.byte() !== representation) throw reader.malformed("a resource that is no i32", offset);
  readOptional(reader, () => reader.u32());
  return { of: "value", type: { kind: "resource" } };
}

function readFunctionType(reader: ByteReader, scope: Scope): WitFunction {
  const parameters = readNamedTypes(reader, scope, "parameters");
  const offset = reader.at;
  const form = reader.byte();
  if (form === 0) return { parameters, result: readValueType(reader, scope) };
  if (form !== 1 || reader.byte() !== 0) throw unsupported("a function with named results", offset);
  return { parameters };
}

function readNamedTypes(reader: ByteReader, scope: Scope, what: string): NamedType[] {
  const count = readCount(reader, scope, what);
  return Array.from({ length: count }, () => ({
    name: readLabel(reader),
    type: readValueType(reader, scope),
  }));
}

function readLabel(reader: ByteReader): string {
  const offset = reader.at;
  const name = reader.name("a label");
  checkLabel(name, offset);
  return name;
}

function readLabels(reader: ByteReader, scope: Scope, what: string): string[] {
  return Array.from({ length: readCount(reader, scope, what) }, () => readLabel(reader));
}

/** A primitive type, which is one byte, or the index of a type, which as a signed number is never negative. */
function readValueType(reader: ByteReader, scope: Scope): WitType {
  const offset = reader.at;
  const first = reader.bytes[offset] ?? 0;
  if (first >= 0x40 && first < 0x80) {
    reader.byte();
    return primitive(first, reader, offset);
  }
  const definition = readIndex(reader, scope.types, "type");
  if (definition.of !== "value") throw reader.malformed("a value of a type that is none of values", offset);
  return definition.type;
}

function primitive(byte: number, reader: ByteReader, offset: number): WitType {
  const kind = primitives[byte - firstPrimitive];
  if (kind !== undefined) return { kind };
  if (byte === 0x64) throw asynchronous("an error context", offset);
  throw reader.malformed(`0x${byte.toString(16)} is not a type`, offset);
}

function readValueForm(form: number, reader: ByteReader, scope: Scope, offset: number): WitType {
  const inner = () => readValueType(reader, scope);
  switch (form) {
    case 0x72:
      return { kind: "record", fields: readNamedTypes(reader, scope, "fields of a record") };
    case 0x71:
      return { kind: "variant", cases: readCases(reader, scope) };
    case 0x70:
      return { kind: "list", of: inner() };
    case 0x6f:
      return {
        kind: "tuple",
        of: Array.from({ length: readCount(reader, scope, "parts of a tuple") }, inner),
      };
    case 0x6e:
      return { kind: "flags", names: readLabels(reader, scope, "flags") };
    case 0x6d:
      return { kind: "enum", names: readLabels(reader, scope, "cases of an enum") };
    case 0x6b:
      return { kind: "option", of: inner() };
    case 0x6a: {
      const ok = readOptional(reader, inner);
      const err = readOptional(reader, inner);
      return { kind: "result", ...(ok === undefined ? {} : { ok }), ...(err === undefined ? {} : { err }) };
    }
    case 0x69:
    case 0x68:
      readIndex(reader, scope.types, "type");
      return { kind: "resource" };
    case 0x66:
    case 0x65:
      throw asynchronous("a stream or future", offset);
    case 0x67:
    case 0x63:
      throw unsupported("a list of fixed length or a map", offset);
    default:
      return primitive(form, reader, offset);
  }
}

function readCases(reader: ByteReader, scope: Scope): WitCase[] {
  return Array.from({ length: readCount(reader, scope, "cases of a variant") }, () => {
    const name = readLabel(reader);
    const type = readOptional(reader, () => readValueType(reader, scope));
    const offset = reader.at;
    if (reader.byte() !== 0) throw unsupported("a case that refines another one", offset);
    return { name, ...(type === undefined ? {} : { type }) };
  });
}

function readOptional<Value>(reader: ByteReader, read: () => Value): Value | undefined {
  const offset = reader.at;
  const flag = reader.byte();
  if (flag > 1)
    throw reader.malformed(`0x${flag.toString(16)} says neither that something is there nor not`, offset);
  return flag === 1 ? read() : undefined;
}

function readInstanceType(reader: ByteReader, outer: Scope, offset: number): ReadonlyMap<string, Entity> {
  const scope = newScope(outer.budget, outer, offset);
  for (let count = readCount(reader, scope, "declarations"); count > 0; count -= 1) {
    const at = reader.at;
    const form = reader.byte();
    if (form === 0x01) scope.types.push(readType(reader, scope));
    else if (form === 0x02) readAlias(reader, scope);
    else if (form === 0x04) declareExport(reader, scope);
    else throw unsupported(`declaration 0x${form.toString(16)} of an interface`, at);
  }
  return scope.exports;
}

function declareExport(reader: ByteReader, scope: Scope): void {
  const name = readExternName(reader);
  const entity = readExternType(reader, scope);
  scope.exports.set(name, entity);
  addEntity(scope, entity);
}

/** The name of an import or export of a component. */
export function readExternName(reader: ByteReader): string {
  const offset = reader.at;
  const form = reader.byte();
  if (form > 1) throw unsupported(`a name of form 0x${form.toString(16)}`, offset);
  const name = reader.name("the name of an import or export");
  checkExternName(name, offset);
  return name;
}

/** What an import or export is. */
export function readExternType(reader: ByteReader, scope: Scope): Entity {
  const offset = reader.at;
  const form = reader.byte();
  switch (form) {
    case 0x01: {
      const definition = readIndex(reader, scope.types, "type");
      if (definition.of !== "function") throw reader.malformed("a function whose type is another", offset);
      return { sort: "function", type: definition.type };
    }
    case 0x03:
      return { sort: "type", type: readTypeBound(reader, scope) };
    case 0x05: {
      const definition = readIndex(reader, scope.types, "type");
      if (definition.of !== "instance") throw reader.malformed("an instance whose type is another", offset);
      return { sort: "instance", exports: definition.exports };
    }
    case 0x00:
    case 0x04:
      throw unsupported("a module or component that is imported or exported", offset);
    default:
      throw unsupported(`an import or export of sort 0x${form.toString(16)}`, offset);
  }
}

function readTypeBound(reader: ByteReader, scope: Scope): TypeDefinition {
  const offset = reader.at;
  const form = reader.byte();
  if (form === 0) return readIndex(reader, scope.types, "type");
  if (form === 1) return { of: "value", type: { kind: "resource" } };
  throw reader.malformed(`0x${form.toString(16)} is not a bound of a type`, offset);
}
