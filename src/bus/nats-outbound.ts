import type { MsgHdrs } from "nats";
import { headers as createHeaders } from "nats";
import { busLimits } from "../limits.ts";
import { alreadyClosed, notConnected, payloadTooLarge, tooMuchUnsent } from "./failures.ts";
import { checkHeaders, checkSubject } from "./names.ts";
import type { NatsClient } from "./nats-client.ts";

type Headers = Readonly<Record<string, string>> | undefined;

/** Everything that leaves over one client passes here. */
export interface Outbound {
  readonly maxPayloadBytes: number;
  /** Another server may have another limit. */
  readonly learnLimits: () => void;
  /** Sends or throws a `Failure`; `replyTo` is taken to be valid. */
  readonly send: (subject: string, data: Uint8Array, replyTo: string | undefined, headers: Headers) => void;
  /** Sends an answer; one given while disconnected is lost, for its requester has been told already. */
  readonly answer: (replyTo: string, data: Uint8Array, headers: Headers) => void;
}

/** Checks what the client does not, and says so where the client would lose a message without a word. */
export function createOutbound(client: NatsClient): Outbound {
  const { protocol } = client;
  oneWritePerTask(protocol);
  let maxPayloadBytes = client.info?.max_payload ?? 0;

  function transmit(subject: string, data: Uint8Array, replyTo: string, headers: Headers): void {
    const bytes = headers === undefined ? data.length : data.length + checkHeaders(headers);
    if (bytes > maxPayloadBytes) throw payloadTooLarge(subject, bytes, maxPayloadBytes);
    const unsentBytes = protocol.transport.socket?.writableLength ?? 0;
    if (unsentBytes > busLimits.unsentBytesMax) throw tooMuchUnsent(subject, unsentBytes);
    // Not client.publish: it checks names a second time, less strictly, on the path of every call.
    if (headers === undefined) protocol.publish(subject, data, { reply: replyTo });
    else protocol.publish(subject, data, { reply: replyTo, headers: clientHeaders(headers) });
  }

  return {
    get maxPayloadBytes() {
      return maxPayloadBytes;
    },
    learnLimits() {
      maxPayloadBytes = client.info?.max_payload ?? maxPayloadBytes;
    },
    send(subject, data, replyTo, headers) {
      checkSubject(subject);
      // The client would put it into a buffer that the next dial empties.
      if (!protocol.connected) throw client.isClosed() ? alreadyClosed(subject) : notConnected(subject);
      transmit(subject, data, replyTo ?? "", headers);
    },
    answer(replyTo, data, headers) {
      if (protocol.connected) transmit(replyTo, data, "", headers);
    },
  };
}

/**
 * The client writes once per microtask, and each suspended guest goes on in one of its own: 64 answers were 64 writes,
 * 27 % of what a capability call cost its cell (measured). They wait for the last microtask of the task instead.
 */
function oneWritePerTask(protocol: NatsClient["protocol"]): void {
  const flush = protocol.flushPending.bind(protocol);
  let isDue = false;
  protocol.flushPending = () => {
    if (isDue && protocol.outbound.size() < busLimits.writeBytesMax) return;
    if (protocol.outbound.size() >= busLimits.writeBytesMax) return flush();
    isDue = true;
    process.nextTick(() => {
      isDue = false;
      flush();
    });
  };
}

function clientHeaders(headers: Readonly<Record<string, string>>): MsgHdrs {
  const encoded = createHeaders();
  for (const [name, value] of Object.entries(headers)) encoded.append(name, value);
  return encoded;
}
