import type { Clock } from "../clock.ts";
import { createCountedReports } from "../counted-reports.ts";
import { refusalLimits } from "../limits.ts";

/** What the server refused, how often since it was told of last. */
export interface BusRefusal {
  readonly operation: "publish" | "subscribe";
  /** Of an inbox only the part that says whose it is; `>` stands for those that were too many to tell apart. */
  readonly subject: string;
  readonly count: number;
}

/** Those who count what a server refuses. */
export interface Refusals {
  add(operation: "publish" | "subscribe", subject: string, count?: number): void;
  /** Since it was made. */
  readonly total: number;
}

/**
 * Reports what a server refuses: the first of its kind at once, those of the following second as one with their
 * count. Whoever is refused in a loop, or made to by somebody else's reply subjects, must not flood the lattice.
 */
export function createRefusals(clock: Clock, report: (refusal: BusRefusal) => void): Refusals {
  const reports = createCountedReports<Omit<BusRefusal, "count">>(
    clock,
    refusalLimits.periodMs,
    (refused, count) => report({ ...refused, count }),
  );
  let total = 0;

  return {
    get total() {
      return total;
    },
    add(operation, subject, more = 1) {
      total += more;
      let kind = kindOf(subject);
      if (!reports.has(`${operation} ${kind}`) && reports.size >= refusalLimits.kindsMax) kind = ">";
      reports.add(`${operation} ${kind}`, { operation, subject: kind }, more);
    },
  };
}

/** An inbox has a token of its own for each request. */
function kindOf(subject: string): string {
  const shown = subject.startsWith("_INBOX.") ? `${subject.split(".").slice(0, 3).join(".")}.>` : subject;
  return shown.slice(0, refusalLimits.subjectCharactersMax);
}
