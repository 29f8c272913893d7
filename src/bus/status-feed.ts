import type { BusStatus } from "./bus.ts";

/** Those who listen to the status of one bus. */
export interface StatusFeed {
  emit(status: BusStatus): void;
  listen(listener: (status: BusStatus) => void): () => void;
}

/** Tells each listener in turn; one that throws is reported to all as `callback-failed` with an empty subject. */
export function createStatusFeed(first?: (status: BusStatus) => void): StatusFeed {
  const listeners = new Set<(status: BusStatus) => void>();
  if (first !== undefined) listeners.add(first);

  function emit(status: BusStatus): void {
    for (const listener of Array.from(listeners)) {
      try {
        listener(status);
      } catch (error) {
        // Not for a listener that fails at being told of a failure: that would never end.
        if (status.type !== "callback-failed") emit({ type: "callback-failed", subject: "", error });
      }
    }
  }

  return {
    emit,
    listen(listener) {
      // Its own identity, so that two who pass the same function can each stop.
      const own = (status: BusStatus) => listener(status);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
  };
}
