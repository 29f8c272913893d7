import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.ts";
import { busLimits } from "../limits.ts";
import type { Failure } from "../protocol/errors.ts";
import type { Bus, BusMessage, RequestOptions } from "./bus.ts";
import type { FailureFor } from "./failures.ts";
import { noResponders, timedOut } from "./failures.ts";
import { inboxRoot } from "./names.ts";
import { createPendingCalls } from "./pending-calls.ts";

/** What a requester needs of a connection. */
export interface RequesterLink {
  readonly clock: Clock;
  /** `_INBOX` when undefined; the role may subscribe to `<inboxPrefix>.>`. */
  readonly inboxPrefix: string | undefined;
  /** Sends it or throws a `Failure`. */
  readonly send: (
    subject: string,
    data: Uint8Array,
    replyTo: string,
    headers: RequestOptions["headers"],
  ) => void;
  /** Subscribes the one inbox, and calls `onReply` for every message there. */
  readonly listen: (filter: string, onReply: (message: BusMessage) => void) => void;
}

/** Requests over one connection: one inbox, one table, one timer. */
export interface Requester {
  readonly request: (subject: string, data: Uint8Array, options: RequestOptions) => Promise<BusMessage>;
  /** Fails every pending request. */
  readonly failAll: (failureFor: FailureFor) => void;
  /** See `Bus.onSlow` and `Bus.giveUp`. */
  readonly onSlow: Bus["onSlow"];
  readonly giveUp: Bus["giveUp"];
  /** The server refused something; fails the requests that can get no answer for that reason. */
  readonly refused: (operation: "publish" | "subscribe", subject: string, failureFor: FailureFor) => void;
}

/**
 * Makes requests without the client's own machinery, which costs four times the CPU. The inbox is subscribed with
 * the first request, for some roles have none.
 */
export function createRequester(link: RequesterLink): Requester {
  const calls = createPendingCalls(link.clock);
  const nextToken = createTokens();
  const inbox = `${link.inboxPrefix ?? inboxRoot}.${nextToken()}.`;
  const inboxFilter = `${inbox}*`;
  let listening = false;

  function onReply(message: BusMessage): void {
    const token = message.subject.slice(inbox.length);
    // Only the server's own notice is empty and has a status; headers are not even looked at otherwise.
    if (message.data.length === 0 && message.header("Status") === "503") calls.fail(token, noResponders);
    else calls.answer(token, message);
  }

  return {
    request(subject, data, { timeoutMs, signal, headers }) {
      if (signal?.aborted) return Promise.reject(signal.reason as Error);
      // Written so that NaN is refused as well: a deadline of NaN never comes.
      if (!(timeoutMs > 0)) return Promise.reject(timedOut(subject, timeoutMs));
      const token = nextToken();
      const answer = calls.open(token, subject, timeoutMs, signal);
      try {
        if (!listening) link.listen(inboxFilter, onReply);
        listening = true;
        link.send(subject, data, inbox + token, headers);
      } catch (error) {
        calls.fail(token, () => error as Failure);
      }
      return answer;
    },
    failAll: (failureFor) => calls.failAll(failureFor),
    onSlow: (listener) => calls.onSlow(listener),
    giveUp: (token, failure) => calls.fail(token, () => failure),
    refused(operation, subject, failureFor) {
      if (operation === "publish") {
        calls.failAll(failureFor, subject);
      } else if (subject === inboxFilter) {
        // The client has dropped that subscription; the next request tries again.
        listening = false;
        calls.failAll(failureFor);
      }
    },
  };
}

/** Reply tokens cut from one long random text: unguessable, and 0.02 µs each instead of 1 µs. */
function createTokens(): () => string {
  const length = busLimits.replyTokenCharacters;
  let pool = "";
  let next = 0;
  return () => {
    if (next === pool.length) {
      pool = randomBytes((busLimits.replyTokensPerRefill * length * 3) / 4).toString("base64url");
      next = 0;
    }
    next += length;
    return pool.slice(next - length, next);
  };
}
