import type { ByteReader } from "./byte-reader.ts";
import { opcode } from "./opcodes.ts";
import { skipGlobal } from "./scan-code.ts";
import { garbageCollected, skipNullType } from "./value-types.ts";

/**
 * Steps over an initialiser up to and with its `end`. Only the constant instructions of the specification,
 * extended ones included, are let through; whether their types fit is left to the engine.
 */
export function skipConstantExpression(reader: ByteReader, globalCount: number): void {
  for (;;) {
    const start = reader.at;
    const code = reader.byte();
    switch (code) {
      case opcode.end:
        return;
      case 0x41: // i32.const
      case 0x42: // i64.const
      case 0xd2: // ref.func
        reader.skipLeb();
        break;
      case 0x43: // f32.const
        reader.skip(4);
        break;
      case 0x44: // f64.const
        reader.skip(8);
        break;
      case 0x6a: // i32.add, i32.sub, i32.mul
      case 0x6b:
      case 0x6c:
      case 0x7c: // i64.add, i64.sub, i64.mul
      case 0x7d:
      case 0x7e:
        break;
      case opcode.globalGet:
        skipGlobal(reader, globalCount);
        break;
      case opcode.refNull:
        skipNullType(reader);
        break;
      case opcode.simdPrefix:
        skipVectorConstant(reader, start);
        break;
      case opcode.gcPrefix:
        throw garbageCollected("an initialiser with instruction 0xfb", start);
      default:
        throw reader.malformed(`instruction 0x${code.toString(16)} is not constant`, start);
    }
  }
}

function skipVectorConstant(reader: ByteReader, start: number): void {
  const vectorConstant = 12;
  if (reader.u32() !== vectorConstant) throw reader.malformed("a vector instruction is not constant", start);
  reader.skip(16);
}
