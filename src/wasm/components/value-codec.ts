import { Packr } from "msgpackr/pack";
import { decode, type Form } from "../../protocol/codec.ts";
import { Failure } from "../../protocol/errors.ts";

const packr = new Packr({ useRecords: false, variableMapSize: true, useToJSON: false });

/** Of the maps and arrays around a value: one. */
const arrayOfOne = 0x91;

/** The arguments of a call: an array, in either form; no payload at all is an empty one, answered in JSON. */
export function decodeArguments(payload: Uint8Array): { value: unknown; form: Form } {
  return payload.length === 0 ? { value: [], form: "json" } : decode(payload);
}

/**
 * Any value that `toMessage` made as bytes, unlike a message of the protocol also one that is no map and no array.
 * In JSON, bytes are `{ "base64": "…" }`.
 */
export function encodeValue(value: unknown, form: Form): Uint8Array {
  if (form === "msgpack") return packr.pack(value);
  const text = JSON.stringify(value, (_, inner: unknown) =>
    inner instanceof Uint8Array ? { base64: Buffer.from(inner).toString("base64") } : inner,
  );
  return Buffer.from(text);
}

/** The value of {@link encodeValue}. Throws INVALID_REQUEST for what is none. */
export function decodeValue(bytes: Uint8Array, form: Form): unknown {
  if (form === "json") return only(decode(Buffer.concat([Buffer.from("["), bytes, Buffer.from("]")])).value);
  const message = new Uint8Array(bytes.length + 1);
  message[0] = arrayOfOne;
  message.set(bytes, 1);
  return only(decode(message).value);
}

function only(value: unknown): unknown {
  if (Array.isArray(value) && value.length === 1) return value[0];
  throw new Failure("INVALID_REQUEST", "the message is no single value", { fix: "Send one value." });
}
