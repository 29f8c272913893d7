import type { Failure } from "../protocol/errors.ts";

/**
 * The port to the bus: subjects, queue groups, requests. Nothing here is durable and nothing is acknowledged:
 * what must not be lost is numbered by its publisher, and gaps are asked for.
 */
export interface Bus {
  /** What one message may hold, headers included, as the server said when it was last reached. */
  readonly maxPayloadBytes: number;
  /** Whether a publish would reach a server now, as far as is known: a dead server is noticed within 3.1 s. */
  readonly connected: boolean;
  /**
   * Hands one message to the socket; its return does not mean that anybody received it. The bytes are read
   * once the present task and its microtasks are over: a buffer that is used again (guest memory!) must be copied first.
   *
   * Throws a `Failure`: COMMUNICATION_FAILURE while disconnected or closed (the client would drop the message
   * without a word), PAYLOAD_TOO_LARGE, RESOURCE_EXHAUSTED when the server takes bytes more slowly than they
   * are published, INVALID_REQUEST for a name that is not one.
   */
  publish(subject: string, data: Uint8Array, options?: PublishOptions): void;
  /**
   * Calls `onMessage` for each message, in the order of each publisher, synchronously while the socket is read:
   * answers given before it returns share one socket write. What it throws becomes the status `callback-failed`
   * and stops nothing. Survives reconnects; a subscription that the server refuses ends with the status `refused`.
   *
   * Throws a `Failure`: COMMUNICATION_FAILURE once closed, INVALID_REQUEST for a name that is not one.
   */
  subscribe(
    filter: string,
    onMessage: (message: BusMessage) => void,
    options?: SubscribeOptions,
  ): Subscription;
  /**
   * Sends one request and resolves with its first answer; the same rule for its bytes as with `publish`.
   *
   * Never throws; rejects with the signal's reason, or with a `Failure`. `details.safeToRepeat` is true where the
   * request surely reached nobody. TIMEOUT; PERMISSION_DENIED where the server refuses subject or inbox;
   * PAYLOAD_TOO_LARGE, RESOURCE_EXHAUSTED and INVALID_REQUEST before anything is sent; COMMUNICATION_FAILURE at
   * once: with `details.noResponders` when nobody listens, while disconnected, and for every pending
   * request when the connection is lost or the bus closes, for an answer to it cannot be relied on any more.
   */
  request(subject: string, data: Uint8Array, options: RequestOptions): Promise<BusMessage>;
  /**
   * Calls `listener` with the requests that have waited for 500 ms or more, some times a second as long as there are
   * any; the function returned ends that. It costs requests that are answered sooner nothing.
   */
  onSlow(listener: (waiting: readonly WaitingRequest[]) => void): () => void;
  /** Rejects a pending request; one that is pending no more is left alone. */
  giveUp(token: string, failure: Failure): void;
  /** Resolves once the server has taken everything published so far; rejects with TIMEOUT or COMMUNICATION_FAILURE. */
  flush(timeoutMs?: number): Promise<void>;
  /** Calls `listener` for every status from now on; the function returned ends that. */
  onStatus(listener: (status: BusStatus) => void): () => void;
  /**
   * Rejects pending requests, lets subscriptions handle what they have received, and closes. Always resolves,
   * within 2.5 s, whatever the server does; repeated calls get the same promise.
   */
  close(): Promise<void>;
}

/** One message as a subscriber or requester gets it. */
export interface BusMessage {
  readonly subject: string;
  /** A view into what the socket read, valid as long as it is held; copy it with `new Uint8Array(data)` to keep little. */
  readonly data: Uint8Array;
  /** Where an answer goes. Subjects outside `_INBOX.` are not shown: an answer there could be taken for a command. */
  readonly replyTo: string | undefined;
  /** The first value of a header, whatever its case; `Status` is `503` in the server's notice that nobody listens. */
  header(name: string): string | undefined;
  headerNames(): string[];
  /**
   * Answers, once; later calls, and those without `replyTo`, do nothing. An answer given while disconnected is lost.
   * Throws PAYLOAD_TOO_LARGE, RESOURCE_EXHAUSTED or INVALID_REQUEST as `publish` does; the answer is then still to give.
   */
  respond(data: Uint8Array, headers?: Readonly<Record<string, string>>): void;
}

/** The last token of a message's reply subject; empty where it wants no answer. */
export function replyTokenOf({ replyTo = "" }: BusMessage): string {
  return replyTo.slice(replyTo.lastIndexOf(".") + 1);
}

/** What `subscribe` returns. */
export interface Subscription {
  /** No message is delivered after this returns. */
  unsubscribe(): void;
  /** No new messages; resolves once those already sent by the server are handled, or after a deadline. */
  drain(): Promise<void>;
}

/** Headers: printable ASCII in names, and in values anything but CR, LF, NUL and outer spaces. */
export interface PublishOptions {
  readonly replyTo?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Members of one `queue` share the messages: each goes to one of them. */
export interface SubscribeOptions {
  readonly queue?: string;
}

/** `timeoutMs` counts from the call; zero or less means that the caller's time is up already. */
export interface RequestOptions {
  readonly timeoutMs: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** A request that waits for its answer. */
export interface WaitingRequest {
  readonly subject: string;
  /** The last token of its reply subject, by which its holder knows it. */
  readonly token: string;
  readonly waitedMs: number;
}

/**
 * What happens to the connection. After `reconnected` messages may be missing. `refused` means that the role
 * has no permission for the subject. `unauthorized` comes with each try of a connection whose credentials the server
 * no longer takes; it goes on trying. `callback-failed` is a bug of a callback.
 */
export type BusStatus =
  | { readonly type: "connected" | "reconnected"; readonly server: string }
  | { readonly type: "disconnected" }
  | { readonly type: "unauthorized"; readonly reason: string }
  | { readonly type: "refused"; readonly operation: "publish" | "subscribe"; readonly subject: string }
  | { readonly type: "callback-failed"; readonly subject: string; readonly error: unknown }
  | { readonly type: "closed"; readonly reason?: string };
