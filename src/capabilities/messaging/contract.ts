/**
 * What a guest asks of messaging. The payload is a map of these fields without `operation`. A topic is a NATS subject of
 * printable ASCII, at most 255 bytes and 8 tokens; planes of the server, inboxes and our own are nobody's topics,
 * whatever was granted.
 *
 * - `publish { topic, body, replyTo?, headers? }` → `{}`: handed to the bus, and no more is promised. Topics hold no
 *   wildcards. `replyTo` is a topic that the guest may itself publish to, or the `replyTo` of a message that it is
 *   handling; that one may also be the topic.
 * - `request { topic, body, timeoutMs? }` → `{ body }`, the first answer; TIMEOUT without one in 2 s unless told, and
 *   COMMUNICATION_FAILURE at once where nobody listens
 * - `subscribe { topic, group? }` → `{}`: from here on the guest's operation `handle-message` is called with
 *   `{ subject, body, replyTo? }`, in MessagePack, for each message on the topic, which may hold wildcards. One at a
 *   time; of the copies of one name exactly one gets each message, and with `group` one of each group of them. A
 *   second `subscribe` to a topic replaces the first. Ends with the guest's life, its grant
 *   and its provider, and when its node falls silent; what shall outlast these belongs into the grant's configuration.
 * - `unsubscribe { topic }` → `{}`, also where there was nothing
 *
 * What `handle-message` returns is published to the `replyTo` of the message, if there is one and it is not empty.
 *
 * A body is bytes. In a request it is bin, a string (its UTF-8 bytes) or `{ "base64": "…" }`; in an answer it is bin in
 * MessagePack, and in JSON a string where it is UTF-8 and `{ "base64": "…" }` where it is not.
 */
export type MessagingRequest =
  | {
      readonly operation: "publish";
      readonly topic: string;
      readonly body: Uint8Array;
      readonly replyTo: string | undefined;
      readonly headers: Readonly<Record<string, string>> | undefined;
    }
  | {
      readonly operation: "request";
      readonly topic: string;
      readonly body: Uint8Array;
      readonly timeoutMs: number;
    }
  | { readonly operation: "subscribe"; readonly topic: string; readonly group: string | undefined }
  | { readonly operation: "unsubscribe"; readonly topic: string };

/** A message on its way to a guest. */
export interface Delivery {
  readonly subject: string;
  readonly body: Uint8Array;
  /** Where an answer goes; always an inbox. */
  readonly replyTo?: string;
}

/** Who messages are for: one instance, whatever node it is on. */
export interface Recipient {
  readonly lattice: string;
  readonly instanceId: string;
  /** The name that instances share, or the instance id. */
  readonly name: string;
}

/** The operation of a guest that messages are calls of. */
export const handlerOperation = "handle-message";
