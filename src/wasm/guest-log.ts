import type { Clock } from "../clock.ts";
import { engineLimits } from "../limits.ts";
import type { LogLine } from "../protocol/calls.ts";

/** What one instance writes, line by line. */
export type GuestLog = (stream: LogLine["stream"], text: string) => void;

/**
 * Sends a guest's lines, up to a number per second; the next line sent after that tells how many were left out. What cannot be sent is lost: logs are no state.
 */
export function createGuestLog(
  clock: Clock,
  identity: Omit<LogLine, "at" | "stream" | "text" | "dropped">,
  send: (line: LogLine) => void,
): GuestLog {
  let second = 0;
  let sent = 0;
  let dropped = 0;

  return (stream, text) => {
    const nowMs = clock.now();
    const thisSecond = Math.floor(nowMs / 1_000);
    if (thisSecond !== second) {
      second = thisSecond;
      sent = 0;
    }
    sent += 1;
    if (sent > engineLimits.logLinesPerSecond) {
      dropped += 1;
      return;
    }
    send({
      at: new Date(nowMs).toISOString(),
      ...identity,
      stream,
      text: text.slice(0, engineLimits.logLineCharactersMax),
      ...(dropped === 0 ? {} : { dropped }),
    });
    dropped = 0;
  };
}
