import { componentHttpLimits } from "../../../limits.ts";

/** One header or trailer. */
export interface Field {
  /** As it was written. */
  readonly name: string;
  /** The name in lower case, by which fields are told apart. */
  readonly key: string;
  /** Never changed. */
  readonly value: Uint8Array;
}

/** Fields in their order; never changed, so that they can be shared. */
export type FieldList = readonly Field[];

/** `wasi:http/types` header-error. */
export interface HeaderError {
  readonly tag: "invalid-syntax" | "forbidden" | "immutable";
}

/** RFC 9110, 5.6.2. */
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * Fields of a connection or of whoever holds it (RFC 9110, 7.6.1, and those that choose where a message goes or how
 * it is framed): no guest sets them, and those that arrive are not passed on to it.
 */
const ofConnection =
  /^(?:connection|expect|host|http2-settings|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade)$/;

/** Whether the text is a token of HTTP: a field's name, a method. */
export function isToken(text: string, bytesMax: number): boolean {
  return text.length <= bytesMax && token.test(text);
}

/** Whether fields of that name, in lower case, are none of a guest's business. */
function isOfConnection(key: string): boolean {
  return ofConnection.test(key);
}

/** A field, or why there can be none. The value is taken as it is: who does not own it copies it before. */
export function fieldOf(name: string, value: Uint8Array): Field | HeaderError {
  if (!isToken(name, componentHttpLimits.fieldNameBytesMax) || !isFieldValue(value)) {
    return { tag: "invalid-syntax" };
  }
  const key = name.toLowerCase();
  return isOfConnection(key) ? { tag: "forbidden" } : { name, key, value };
}

/** Whether so many fields may stand in one message. */
export function fitsMessage(list: FieldList): boolean {
  return sizeOf(list) <= componentHttpLimits.fieldsBytesMax;
}

/** What the fields count against their limit. */
function sizeOf(list: FieldList): number {
  let size = 0;
  for (const { name, value } of list)
    size += name.length + value.length + componentHttpLimits.fieldOverheadBytes;
  return size;
}

/** The value of `content-length`, undefined where there is none, or none that says a length. */
export function contentLengthOf(list: FieldList): number | undefined {
  const texts = list
    .filter(({ key }) => key === "content-length")
    .map(({ value }) => Buffer.from(value).toString("latin1"));
  const [only] = texts;
  return texts.length === 1 && only !== undefined && /^[0-9]{1,15}$/.test(only) ? Number(only) : undefined;
}

/** RFC 9110, 5.5: no control character but a tab. A line end would begin a field of its own, or the body. */
function isFieldValue(value: Uint8Array): boolean {
  if (value.length > componentHttpLimits.fieldsBytesMax) return false;
  return value.every((byte) => (byte >= 0x20 && byte !== 0x7f) || byte === 0x09);
}
