import { decode, encode } from "../../../protocol/codec.ts";
import { Failure } from "../../../protocol/errors.ts";
import type { GuestHost } from "../../guests/guest.ts";

/** A provider's answer, whose fields are read by the functions below: it comes from elsewhere. */
export type Answer = Readonly<Record<string, unknown>>;

/** One grant of a guest. */
export interface GrantedCapability {
  readonly capabilityId: string;
  readonly providerType: string;
}

/** Asks the provider behind a grant; the guest is suspended meanwhile. Rejects with its `Failure`. */
export async function askProvider(
  host: GuestHost,
  { capabilityId, providerType }: GrantedCapability,
  operation: string,
  request: Readonly<Record<string, unknown>>,
): Promise<Answer> {
  const payload = encode(request, "msgpack");
  const answer = await host.callCapability(capabilityId, providerType, operation, payload);
  if (answer.length === 0) return {};
  return mapIn(decode(answer).value, `the answer to ${operation}`);
}

/** A text that must be there. */
export function textIn(answer: Answer, field: string): string {
  const value = answer[field];
  if (typeof value !== "string") throw unexpected(field, "a text");
  return value;
}

/** A truth value that must be there. */
export function flagIn(answer: Answer, field: string): boolean {
  const value = answer[field];
  if (typeof value !== "boolean") throw unexpected(field, "true or false");
  return value;
}

/** An integer that must be there. */
export function integerIn(answer: Answer, field: string): bigint {
  const value = answer[field];
  if (typeof value === "bigint") return value;
  if (!Number.isSafeInteger(value)) throw unexpected(field, "an integer");
  return BigInt(value as number);
}

/** Bytes, or the UTF-8 bytes of a text; undefined for null and where there is nothing. */
export function bytesIn(answer: Answer, field: string): Uint8Array | undefined {
  const value = answer[field];
  if (value === undefined || value === null) return undefined;
  if (value instanceof Uint8Array) return value;
  if (typeof value !== "string") throw unexpected(field, "bytes");
  return new TextEncoder().encode(value);
}

/** A list of texts that must be there. */
export function textsIn(answer: Answer, field: string): string[] {
  const list = listIn(answer, field);
  if (!list.every((item) => typeof item === "string")) throw unexpected(field, "a list of texts");
  return list as string[];
}

/** A list of maps that must be there. */
export function mapsIn(answer: Answer, field: string): Answer[] {
  return listIn(answer, field).map((item) => mapIn(item, `an entry of ${field}`));
}

function listIn(answer: Answer, field: string): unknown[] {
  const value = answer[field];
  if (!Array.isArray(value)) throw unexpected(field, "a list");
  return value;
}

function mapIn(value: unknown, what: string): Answer {
  const isMap =
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
  if (isMap) return value as Answer;
  throw unexpected(what, "a map");
}

function unexpected(field: string, wanted: string): Failure {
  return new Failure(
    "COMMUNICATION_FAILURE",
    `the provider answered with something else than ${wanted}: ${field}`,
    {
      fix: "Give the guest a provider that speaks this version of the protocol.",
      retry: "never",
    },
  );
}
