import { InvalidArgumentError } from "commander";
import type { z } from "zod";
import type { RestartPolicy } from "../../src/protocol/instance-spec.ts";
import { msOf, wholeNumber } from "./usage.ts";

/** `never`, `always`, `backoff` or `backoff:delay,maxDelay,maxRetries`, of which the last ones may be left out. */
export function restartOf(text: string): z.input<typeof RestartPolicy> {
  if (text === "never" || text === "always") return { type: text };
  const [, listed] = /^backoff(?::(.+))?$/.exec(text) ?? [undefined, undefined];
  if (!text.startsWith("backoff") || (text !== "backoff" && listed === undefined)) {
    throw new InvalidArgumentError("it must be never, always, backoff or backoff:200ms,30s,5");
  }
  const [delay, maxDelay, retries] = listed?.split(",") ?? [];
  return {
    type: "backoff",
    ...(delay === undefined ? {} : { delayMs: msOf(delay) }),
    ...(maxDelay === undefined ? {} : { maxDelayMs: msOf(maxDelay) }),
    ...(retries === undefined ? {} : { maxRetries: wholeNumber(retries) }),
  };
}
