import type { Bus, BusMessage } from "../bus/bus.ts";
import { clientLimits } from "../limits.ts";
import { Failure } from "../protocol/errors.ts";

/** What is published from now on, one at a time; ends when it is closed, or with what its reader must know. */
export interface Feed<Item> extends AsyncIterableIterator<Item, undefined> {
  /** Resolves once the server delivers: what is published after that is not missed. */
  readonly ready: Promise<void>;
  close(): void;
}

/**
 * Subscribes at once. `itemOf` gives undefined for what does not belong here. A reader that lets more than
 * `clientLimits.feedItemsMax` wait gets those and then RESOURCE_EXHAUSTED: a gap is never passed over in silence.
 */
export function openFeed<Item>(
  bus: Bus,
  filter: string,
  itemOf: (message: BusMessage) => Item | undefined,
): Feed<Item> {
  const waiting: Item[] = [];
  let wanted: PromiseWithResolvers<IteratorResult<Item, undefined>> | undefined;
  let end: Failure | "closed" | undefined;

  const subscription = bus.subscribe(filter, (message) => {
    const item = itemOf(message);
    if (item === undefined || end !== undefined) return;
    if (wanted !== undefined) {
      wanted.resolve({ done: false, value: item });
      wanted = undefined;
    } else if (waiting.push(item) > clientLimits.feedItemsMax) finish(tooSlow());
  });
  const stopListening = bus.onStatus((status) => {
    if (status.type === "closed") finish("closed");
    if (status.type === "refused" && status.subject === filter) finish(refused(filter));
  });

  function finish(how: Failure | "closed"): void {
    if (end !== undefined) return;
    end = how;
    subscription.unsubscribe();
    stopListening();
    if (how === "closed") wanted?.resolve({ done: true, value: undefined });
    else wanted?.reject(how);
    wanted = undefined;
  }

  const ready = bus.flush();
  // Whoever does not wait for it hears of a lost connection from the bus.
  ready.catch(() => undefined);
  return {
    ready,
    close: () => finish("closed"),
    next() {
      const item = waiting.shift();
      if (item !== undefined) return Promise.resolve({ done: false, value: item });
      if (end === "closed") return Promise.resolve({ done: true, value: undefined });
      if (end !== undefined) return Promise.reject(end);
      wanted ??= Promise.withResolvers();
      return wanted.promise;
    },
    return() {
      finish("closed");
      return Promise.resolve({ done: true, value: undefined });
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

function tooSlow(): Failure {
  return new Failure(
    "RESOURCE_EXHAUSTED",
    `more than ${clientLimits.feedItemsMax} messages waited for their reader`,
    {
      fix: "Read faster, or ask for fewer kinds; what was missed of facts is in `fact.list`.",
      retry: "later",
    },
  );
}

function refused(filter: string): Failure {
  return new Failure("PERMISSION_DENIED", `the server does not let this user listen to ${filter}`, {
    fix: "Connect with the credentials of an operator or an observer.",
  });
}
