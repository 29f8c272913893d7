import type { Delivery } from "./contract.ts";
import type { MessagingLimits } from "./messaging-limits.ts";

/** Messages of one subscription that wait for their guest; the oldest go when there is no room for a new one. */
export interface MessageQueue {
  readonly length: number;
  /** Keeps a message; returns how many were dropped for it, itself among them if it has no room at all. */
  push(message: Delivery): number;
  shift(): Delivery | undefined;
  clear(): void;
}

/** What all queues of a provider hold together. */
export interface QueuedBytes {
  total: number;
}

/** An empty queue. */
export function createMessageQueue(limits: MessagingLimits, all: QueuedBytes): MessageQueue {
  const waiting: Delivery[] = [];
  let bytes = 0;

  const sizeOf = (message: Delivery) => message.body.byteLength + limits.queuedEntryBytes;
  const shift = () => {
    const message = waiting.shift();
    if (message === undefined) return undefined;
    bytes -= sizeOf(message);
    all.total -= sizeOf(message);
    return message;
  };

  return {
    get length() {
      return waiting.length;
    },
    push(message) {
      const size = sizeOf(message);
      const hasRoom = () =>
        waiting.length < limits.queuedMessagesMax &&
        // One alone may be larger: what the bus carries must be deliverable.
        (bytes + size <= limits.queuedBytesMax || waiting.length === 0) &&
        all.total + size <= limits.queuedBytesTotalMax;
      let dropped = 0;
      while (!hasRoom()) {
        dropped += 1;
        if (shift() === undefined) return dropped;
      }
      waiting.push(message);
      bytes += size;
      all.total += size;
      return dropped;
    },
    shift,
    clear() {
      while (shift() !== undefined);
    },
  };
}
