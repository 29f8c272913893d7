import { guestTalkLimits } from "../../../limits.ts";
import { GuestFault } from "../../guests/guest-faults.ts";
import { type ComponentHost, endGuest } from "./component-host.ts";

/** Something that becomes ready. */
export interface Readiness {
  isReady(): boolean;
  /** Calls `wake` once when it has become ready or broke; the function returned ends the wait. */
  wait(wake: () => void): () => void;
}

// Not a member of the class: a guest could import it under any name that it has.
let readinessBehind: (pollable: Pollable) => Readiness;

/** `wasi:io/poll` pollable. Made by {@link pollableOf} and {@link pollableFor}. */
export class Pollable {
  readonly #host: ComponentHost;
  readonly #readiness: Readiness;
  readonly #release: () => void;

  static {
    readinessBehind = (pollable) => pollable.#readiness;
  }

  constructor(host: ComponentHost, readiness: Readiness) {
    this.#host = host;
    this.#readiness = readiness;
    this.#release = host.hold(() => {});
  }

  /** Whether a wait for it would be over at once. */
  ready(): boolean {
    return this.#readiness.isReady();
  }

  /** Suspends the guest until it is ready. */
  block(): Promise<void> | void {
    if (this.#readiness.isReady()) return;
    return firstOf(this.#host, [this.#readiness]).then(() => {});
  }

  [Symbol.dispose](): void {
    this.#release();
  }
}

/** A pollable for a {@link Readiness}. Throws `GuestFault` when the guest holds too much. */
export function pollableFor(host: ComponentHost, readiness: Readiness): Pollable {
  return new Pollable(host, readiness);
}

/**
 * A pollable that is ready when `isReady` says so. `whenReady` is asked when a guest waits, and once more only after
 * what it gave has settled; a rejection counts as ready, for the operation that follows tells the reason.
 */
export function pollableOf(
  host: ComponentHost,
  isReady: () => boolean,
  whenReady: () => Promise<void>,
): Pollable {
  return new Pollable(host, readinessOf(isReady, whenReady));
}

/**
 * The {@link Readiness} of a promise that is made on demand. However often a guest waits for it, the promise has one
 * reaction: one per wait would grow with every turn of a guest's loop.
 */
export function readinessOf(isReady: () => boolean, whenReady: () => Promise<void>): Readiness {
  const wakers = new Set<() => void>();
  let isAsked = false;
  const settled = () => {
    isAsked = false;
    const woken = [...wakers];
    wakers.clear();
    for (const wake of woken) wake();
  };
  return {
    isReady,
    wait(wake) {
      wakers.add(wake);
      if (!isAsked) {
        isAsked = true;
        whenReady().then(settled, settled);
      }
      return () => void wakers.delete(wake);
    },
  };
}

/** `wasi:io/poll` for the guest of this host. */
export function pollInterface(host: ComponentHost) {
  return {
    Pollable,
    /**
     * The indexes of those that are ready, at least one: the guest is suspended until there is. An empty list, which
     * the interface says traps, and one that is too long end the guest.
     */
    poll: (pollables: readonly Pollable[]): Uint32Array | Promise<Uint32Array> => {
      if (pollables.length === 0) return endGuest(host, new GuestFault("the guest polled an empty list"));
      if (pollables.length > guestTalkLimits.pollSubscriptionsMax) {
        const fault = `the guest polled ${pollables.length} pollables; ${guestTalkLimits.pollSubscriptionsMax} are allowed`;
        return endGuest(host, new GuestFault(fault));
      }
      const list = pollables.map(readinessBehind);
      const ready = readyAmong(list);
      if (ready.length > 0) return ready;
      return firstOf(host, list).then((woken) => {
        const present = readyAmong(list);
        // Somebody was woken and is not ready any more: the guest looks for itself.
        return present.length > 0 ? present : Uint32Array.of(Math.max(woken, 0));
      });
    },
  };
}

function readyAmong(list: readonly Readiness[]): Uint32Array {
  const ready: number[] = [];
  for (const [index, one] of list.entries()) if (one.isReady()) ready.push(index);
  return Uint32Array.from(ready);
}

/** Suspends the guest until one of them wakes, and tells which; −1 when the guest's life ended meanwhile. */
function firstOf(host: ComponentHost, list: readonly Readiness[]): Promise<number> {
  return host.suspend(
    () =>
      new Promise<number>((resolve) => {
        const ends: (() => void)[] = [];
        let isSettled = false;
        const settle = (index: number) => {
          isSettled = true;
          release();
          for (const end of ends) end();
          resolve(index);
        };
        // Whatever a guest waits for: the end of its life ends the wait, and with it the promise.
        const release = host.hold(() => settle(-1));
        for (const [index, one] of list.entries()) {
          ends.push(one.wait(() => settle(index)));
          if (!isSettled) continue;
          ends.at(-1)?.();
          break;
        }
      }),
  );
}
