import { busLimits } from "../limits.ts";
import { Failure } from "../protocol/errors.ts";

/** Makes the failure of one call from the subject that it went to. */
export type FailureFor = (subject: string) => Failure;

/** Nothing was sent: the bus is not connected now. */
export function notConnected(subject: string): Failure {
  return new Failure("COMMUNICATION_FAILURE", `not connected to the bus; nothing was sent to ${subject}`, {
    fix: "Wait for the status `reconnected`; check that nats-server is running.",
    details: { subject, safeToRepeat: true },
  });
}

/** The connection was lost while a request was pending; it may have been handled. */
export function connectionLost(subject: string): Failure {
  return new Failure(
    "COMMUNICATION_FAILURE",
    `the connection to the bus was lost before ${subject} answered`,
    {
      fix: "Repeat it after the status `reconnected` if handling it twice does no harm.",
      details: { subject, safeToRepeat: false },
    },
  );
}

/** The bus was closed while a request was pending; it may have been handled. */
export function closedWhilePending(subject: string): Failure {
  return new Failure("COMMUNICATION_FAILURE", `the bus was closed before ${subject} answered`, {
    retry: "never",
    details: { subject, safeToRepeat: false },
  });
}

/** Nothing was done: the bus is closed. */
export function alreadyClosed(subject: string): Failure {
  return new Failure("COMMUNICATION_FAILURE", `the bus is closed; nothing was done with ${subject}`, {
    retry: "never",
    details: { subject, safeToRepeat: true },
  });
}

/** The server said that nobody listens there. */
export function noResponders(subject: string): Failure {
  return new Failure("COMMUNICATION_FAILURE", `nobody listens on ${subject}`, {
    fix: "Check that whoever should answer is running, and that both are in the same lattice.",
    details: { subject, noResponders: true, safeToRepeat: true },
  });
}

/** No answer came in time; the request may have been handled. */
export function timedOut(subject: string, timeoutMs: number): Failure {
  return new Failure("TIMEOUT", `no answer from ${subject} within ${timeoutMs} ms`, {
    details: { subject, timeoutMs, safeToRepeat: false },
  });
}

/** The server does not let this role publish or subscribe there. */
export function refusedByServer(operation: "publish" | "subscribe", subject: string): Failure {
  return new Failure("PERMISSION_DENIED", `the server refuses to let this role ${operation} to ${subject}`, {
    fix: `Give the role's user permission to ${operation} to ${subject}, or connect with the credentials of another role.`,
    details: { operation, subject },
  });
}

/** Nothing was sent: the message is larger than the server takes. */
export function payloadTooLarge(subject: string, payloadBytes: number, maxPayloadBytes: number): Failure {
  return new Failure(
    "PAYLOAD_TOO_LARGE",
    `${payloadBytes} bytes for ${subject}; the bus carries at most ${maxPayloadBytes} in a message`,
    {
      fix: "Send it in pieces, or raise `max_payload` in the configuration of nats-server.",
      details: { subject, payloadBytes, maxPayloadBytes, safeToRepeat: true },
    },
  );
}

/** Nothing was sent: the server has not taken what was published before. */
export function tooMuchUnsent(subject: string, unsentBytes: number): Failure {
  return new Failure(
    "RESOURCE_EXHAUSTED",
    `${unsentBytes} bytes wait to be sent; nothing was added for ${subject}`,
    {
      fix: "Publish more slowly, and await `flush()` between batches.",
      retry: "later",
      details: { subject, unsentBytes, unsentBytesMax: busLimits.unsentBytesMax, safeToRepeat: true },
    },
  );
}
