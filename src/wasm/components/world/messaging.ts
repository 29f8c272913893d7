import { decode } from "../../../protocol/codec.ts";
import { Failure } from "../../../protocol/errors.ts";
import { echo } from "../../../protocol/ids.ts";
import { type Answer, askProvider, bytesIn } from "./ask-provider.ts";
import type { ComponentHost } from "./component-host.ts";
import { expectedFailure, failureText } from "./io-error.ts";

/** `wasmcloud:messaging/types` broker-message. */
export interface BrokerMessage {
  readonly subject: string;
  readonly body: Uint8Array;
  readonly replyTo: string | undefined;
}

/**
 * `wasmcloud:messaging` 0.2 on the grant of type `messaging`; its subjects are topics of the application. The errors
 * are texts.
 */
export function messagingInterfaces(host: ComponentHost) {
  const asked = async <Result>(
    operation: string,
    request: Readonly<Record<string, unknown>>,
    read: (answer: Answer) => Result,
  ): Promise<Result> => {
    try {
      const grant = { capabilityId: host.capabilityFor("messaging"), providerType: "messaging" };
      return read(await askProvider(host, grant, operation, request));
    } catch (thrown) {
      throw failureText(expectedFailure(thrown));
    }
  };
  return {
    "wasmcloud:messaging/types": {},
    "wasmcloud:messaging/consumer": {
      async publish({ subject: topic, body, replyTo }: BrokerMessage): Promise<void> {
        await asked("publish", { topic, body, replyTo }, () => {});
      },
      async request(topic: string, body: Uint8Array, timeoutMs: number): Promise<BrokerMessage> {
        const read = (answer: Answer) => ({
          subject: typeof answer["topic"] === "string" ? answer["topic"] : topic,
          body: bytesIn(answer, "body") ?? new Uint8Array(0),
          replyTo: undefined,
        });
        return asked("request", { topic, body, timeoutMs }, read);
      },
    },
  };
}

/**
 * The operation `handle-message`: its payload `{ subject, body, replyTo? }` as the export takes it. A body is bytes, a
 * text (its UTF-8 bytes) or, in JSON, `{ "base64": "…" }`. Throws INVALID_REQUEST that names the field.
 */
export function brokerMessage(payload: Uint8Array): BrokerMessage {
  const { value } = decode(payload);
  if (Array.isArray(value)) throw wrong("the payload", value);
  const { subject, body, replyTo } = value as Record<string, unknown>;
  if (typeof subject !== "string" || subject === "") throw wrong("subject", subject);
  if (replyTo !== undefined && replyTo !== null && typeof replyTo !== "string")
    throw wrong("replyTo", replyTo);
  return { subject, body: bodyBytes(body), replyTo: replyTo ?? undefined };
}

function bodyBytes(body: unknown): Uint8Array {
  if (body === undefined || body === null) return new Uint8Array(0);
  if (body instanceof Uint8Array) return body;
  if (typeof body === "string") return new TextEncoder().encode(body);
  const base64 = typeof body === "object" && "base64" in body ? body.base64 : undefined;
  if (typeof base64 !== "string") throw wrong("body", body);
  const bytes = new Uint8Array(Buffer.from(base64, "base64"));
  // Node skips what is not base64; only an exact text comes back as it was.
  if (Buffer.from(bytes).toString("base64") !== base64) throw wrong("body", base64);
  return bytes;
}

function wrong(field: string, value: unknown): Failure {
  return new Failure("INVALID_REQUEST", `handle-message: ${field} cannot be ${echo(value)}`, {
    fix: "Send a map of subject, body (bytes or a text) and, where an answer is wanted, replyTo.",
    details: { field },
  });
}
