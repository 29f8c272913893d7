import { guestLimits } from "../../../limits.ts";
import type { ComponentHost } from "./component-host.ts";
import { type Pollable, pollableFor } from "./poll.ts";

const nanosPerMilli = 1_000_000n;

/**
 * `wasi:clocks`. All clocks follow the host's, in whole milliseconds: a guest has no use for a finer one but to measure
 * its neighbours. There is one time zone, UTC.
 */
export function clockInterfaces(host: ComponentHost) {
  let latestMs = 0;

  /** Never goes back, as the host's clock may. */
  const monotonicNanos = (): bigint => {
    latestMs = Math.max(latestMs, Math.floor(host.now()));
    return BigInt(latestMs) * nanosPerMilli;
  };

  const pollableAt = (deadline: bigint): Pollable =>
    pollableFor(host, {
      isReady: () => monotonicNanos() >= deadline,
      wait(wake) {
        let cancel: () => void = () => {};
        const arm = () => {
          const left = deadline - monotonicNanos();
          if (left <= 0n) return wake();
          const leftMs = (left + nanosPerMilli - 1n) / nanosPerMilli;
          // In steps, for no timer takes as many milliseconds as a guest may ask for.
          cancel = host.after(Number(leftMs < stepMs ? leftMs : stepMs), arm);
        };
        arm();
        return () => cancel();
      },
    });

  return {
    "wasi:clocks/wall-clock": {
      now() {
        const nowMs = Math.floor(host.now());
        return { seconds: BigInt(Math.floor(nowMs / 1_000)), nanoseconds: (nowMs % 1_000) * 1_000_000 };
      },
      resolution: () => ({ seconds: 0n, nanoseconds: Number(nanosPerMilli) }),
    },
    "wasi:clocks/monotonic-clock": {
      now: monotonicNanos,
      resolution: () => nanosPerMilli,
      subscribeInstant: (when: bigint) => pollableAt(when),
      subscribeDuration: (when: bigint) => pollableAt(monotonicNanos() + when),
    },
    "wasi:clocks/timezone": {
      display: () => ({ utcOffset: 0, name: "UTC", inDaylightSavingTime: false }),
      utcOffset: () => 0,
    },
  };
}

const stepMs = BigInt(guestLimits.timeoutMsMax);
