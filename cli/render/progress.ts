import { cliLimits } from "../../src/limits.ts";
import type { Session } from "../session.ts";
import { size } from "./quantities.ts";

/** A line on stderr that is written over while bytes are on their way. */
export interface ProgressBar {
  /** May be called for every piece; both numbers are bytes. */
  readonly show: (doneBytes: number, sizeBytes: number) => void;
  /** Takes the line away, so that what follows begins on an empty one. */
  readonly end: () => void;
}

/** A bar where a person watches stderr; with `--json`, or where stderr goes elsewhere, nothing is written. */
export function progressBar(
  { errorIsTerminal = false, json, clock, writeError }: ProgressSession,
  what: string,
): ProgressBar {
  if (!errorIsTerminal || json) return { show: () => undefined, end: () => undefined };
  const startedMs = clock.now();
  let drawnMs = -Infinity;
  return {
    show(doneBytes, sizeBytes) {
      const now = clock.now();
      // What is over in a moment needs no bar.
      if (now - startedMs < cliLimits.progressAfterMs || now - drawnMs < cliLimits.progressEveryMs) return;
      drawnMs = now;
      const share = sizeBytes === 0 ? 1 : doneBytes / sizeBytes;
      const filled = Math.round(share * cliLimits.progressCharacters);
      const bar = "█".repeat(filled) + "░".repeat(cliLimits.progressCharacters - filled);
      const perSecond = size(Math.round((doneBytes * 1_000) / Math.max(1, now - startedMs)));
      const percent = `${Math.floor(share * 100)}%`.padStart(4);
      writeError(
        `${overwrite}${what} ${bar}${percent}  ${size(doneBytes)} of ${size(sizeBytes)}  ${perSecond}/s`,
      );
    },
    end() {
      if (drawnMs !== -Infinity) writeError(overwrite);
    },
  };
}

type ProgressSession = Pick<Session, "errorIsTerminal" | "json" | "clock" | "writeError">;

/** To the beginning of the line, and what stood there is gone (ECMA-48: CR, EL 2). */
const overwrite = "\r\u001b[2K";
