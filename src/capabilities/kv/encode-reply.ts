import { isUtf8 } from "node:buffer";
import { type Form, encode } from "../../protocol/codec.ts";
import type { KvReply } from "./contract.ts";

/** An answer in the form of its request. */
export function encodeKvReply(reply: KvReply, form: Form): Uint8Array {
  if (form === "msgpack") return encode(reply, form);
  if ("values" in reply) {
    return encode({ values: reply.values.map(({ key, value }) => ({ key, value: jsonValue(value) })) }, form);
  }
  if ("value" in reply) return encode({ ...reply, value: jsonValue(reply.value) }, form);
  return encode(reply, form);
}

function jsonValue<Other>(value: Uint8Array | Other): string | { base64: string } | Other {
  if (!(value instanceof Uint8Array)) return value;
  const buffer = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return isUtf8(buffer) ? buffer.toString("utf8") : { base64: buffer.toString("base64") };
}
