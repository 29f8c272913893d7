import { guestLimits, guestTalkLimits } from "../../limits.ts";
import type { GuestLife } from "./guest-life.ts";
import type { GuestMemory } from "./guest-memory.ts";
import { errno } from "./wasi-errno.ts";
import type { Descriptors } from "./wasi-streams.ts";
import type { WasiWorld } from "./wasi-world.ts";

const realtime = 0;
const monotonic = 1;

const nanosPerMilli = 1_000_000n;

/** Kinds of events, as subscriptions and events number them. */
const eventClock = 0;
const eventFdRead = 1;
const eventFdWrite = 2;

const subscriptionBytes = 48;
const eventBytes = 32;

/**
 * Clocks and waiting. Both clocks follow the host's, in whole milliseconds: a guest has no use for a finer one but
 * to measure its neighbours.
 */
export function clockFunctions(life: GuestLife, world: WasiWorld, descriptors: Descriptors) {
  const { memory } = life;
  let latest = 0;

  /** Nanoseconds; undefined for a clock that there is not. */
  function read(clock: number): bigint | undefined {
    const now = world.now();
    if (clock === realtime) return BigInt(Math.floor(now)) * nanosPerMilli;
    if (clock !== monotonic) return undefined;
    latest = Math.max(latest, Math.floor(now));
    return BigInt(latest) * nanosPerMilli;
  }

  function ready(subscription: Subscription): Ready {
    const { kind, fd } = subscription;
    if (kind === eventClock) {
      const now = read(subscription.clock);
      if (now === undefined) return { subscription, waitMs: 0, error: errno.inval, bytes: 0, ended: false };
      return {
        subscription,
        waitMs: waitMs(subscription, now),
        error: errno.success,
        bytes: 0,
        ended: false,
      };
    }
    const descriptor = descriptors.get(fd);
    const stream = kind === eventFdRead ? descriptor?.source : descriptor?.sink;
    const error = stream === undefined ? errno.badf : errno.success;
    const bytes =
      kind === eventFdRead ? (descriptor?.source?.remaining ?? 0) : guestTalkLimits.logWriteBytesMax;
    return { subscription, waitMs: 0, error, bytes, ended: kind === eventFdRead && bytes === 0 };
  }

  return {
    clock_res_get(clock: number, pointer: number): number {
      if (read(clock) === undefined) return errno.inval;
      memory.setU64(pointer, nanosPerMilli);
      return errno.success;
    },

    clock_time_get(clock: number, _precision: bigint, pointer: number): number {
      const now = read(clock);
      if (now === undefined) return errno.inval;
      memory.setU64(pointer, now);
      return errno.success;
    },

    sched_yield: (): number => errno.success,

    /** Descriptors are always ready, so that only a list of clocks alone has to wait. */
    poll_oneoff(
      input: number,
      output: number,
      count: number,
      countPointer: number,
    ): number | Promise<number> {
      const size = count >>> 0;
      if (size === 0 || size > guestTalkLimits.pollSubscriptionsMax) return errno.inval;
      const start = memory.range(input, size * subscriptionBytes, "the subscriptions");
      memory.range(output, size * eventBytes, "the events");
      memory.range(countPointer, 4, "a result");
      const subscriptions: Subscription[] = [];
      for (let index = 0; index < size; index++) {
        subscriptions.push(readSubscription(memory, start + index * subscriptionBytes));
      }
      if (subscriptions.some((subscription) => subscription.kind > eventFdWrite)) return errno.inval;
      const all = subscriptions.map(ready);
      const shortestMs = Math.min(...all.map((one) => one.waitMs));
      const answer = (): number => {
        const due = all.filter((one) => one.waitMs <= shortestMs);
        for (const [index, one] of due.entries()) writeEvent(memory, output + index * eventBytes, one);
        memory.setU32(countPointer, due.length);
        return errno.success;
      };
      return shortestMs === 0 ? answer() : world.sleep(shortestMs).then(answer, endGuest(life));
    },
  };
}

interface Subscription {
  readonly userdata: bigint;
  readonly kind: number;
  readonly clock: number;
  readonly fd: number;
  /** Nanoseconds. */
  readonly timeout: bigint;
  readonly isAbsolute: boolean;
}

interface Ready {
  readonly subscription: Subscription;
  readonly waitMs: number;
  readonly error: number;
  readonly bytes: number;
  readonly ended: boolean;
}

function readSubscription(memory: GuestMemory, at: number): Subscription {
  return {
    userdata: memory.u64(at),
    kind: memory.u8(at + 8),
    clock: memory.u32(at + 16),
    fd: memory.u32(at + 16),
    timeout: memory.u64(at + 24),
    isAbsolute: (memory.u16(at + 40) & 1) === 1,
  };
}

/** No call lives as long as the cut-off, so that nobody sees a timer that rang too early. */
function waitMs(subscription: Subscription, now: bigint): number {
  const nanos = subscription.isAbsolute ? subscription.timeout - now : subscription.timeout;
  if (nanos <= 0n) return 0;
  const millis = (nanos + nanosPerMilli - 1n) / nanosPerMilli;
  return Math.min(Number(millis), guestLimits.timeoutMsMax);
}

function writeEvent(memory: GuestMemory, at: number, { subscription, error, bytes, ended }: Ready): void {
  memory.fill(at, eventBytes, "an event", (range) => range.fill(0));
  memory.setU64(at, subscription.userdata);
  memory.setU16(at + 8, error);
  memory.setU8(at + 10, subscription.kind);
  if (subscription.kind === eventClock) return;
  memory.setU64(at + 16, BigInt(bytes));
  memory.setU16(at + 24, ended ? 1 : 0);
}

function endGuest(life: GuestLife): (thrown: unknown) => never {
  return (thrown) => {
    throw life.end(thrown);
  };
}
