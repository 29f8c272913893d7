import { directoryLimits } from "../limits.ts";
import type { Log } from "../log.ts";
import { asFailure } from "../protocol/errors.ts";

/** What is done with the directory: entries are kept, or the others' are watched. */
export type Duty = "keeping" | "watching";

/** Tells of an outage once, when it begins, and once when all is well again. */
export interface Outage {
  failed(duty: Duty, error: unknown): void;
  succeeded(duty: Duty): void;
}

/** No outage at first: silence is no news. */
export function createOutage(log: Log, endpoints: readonly string[]): Outage {
  const failing = new Set<Duty>();
  return {
    failed(duty, error) {
      if (failing.size === 0)
        log.warn(
          { etcd: endpoints, reason: asFailure(error).message.slice(0, directoryLimits.reasonCharactersMax) },
          "etcd is not to be had; everything else goes on, and it catches up afterwards",
        );
      failing.add(duty);
    },
    succeeded(duty) {
      if (failing.delete(duty) && failing.size === 0)
        log.info({ etcd: endpoints }, "etcd is to be had again");
    },
  };
}
