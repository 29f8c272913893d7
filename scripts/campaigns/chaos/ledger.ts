/** What became of one command, as its sender knows. */
export type Outcome = "done" | { readonly code: string };

/** A command of the load, from its sending to its end; ms since 1970. */
export interface Sent {
  readonly what: string;
  readonly at: number;
  readonly until: number;
  readonly outcome: Outcome;
}

/** Whether something is so, as far as the acknowledgements tell; undefined where they leave both open. */
export type Expected = boolean | undefined;

/** What the load was told of one instance, the latest last. */
export interface InstanceAccount {
  readonly instanceId: string;
  readonly name: string;
  readonly guest: "echo" | "counter";
  readonly presence: (Sent & { readonly means: boolean })[];
  readonly grant: (Sent & { readonly means: boolean })[];
}

/** Everything that a round was told, against which it is checked in the end. */
export interface Ledger {
  readonly instances: Map<string, InstanceAccount>;
  /** Names that are scaled: how many were asked for, the latest last. */
  readonly scaled: Map<string, (Sent & { readonly count: number })[]>;
  readonly commands: Sent[];
  readonly calls: CallCounts;
}

/** The calls of a round. */
export interface CallCounts {
  done: number;
  readonly failed: Map<string, number>;
  /** Those that came back later than their deadline allows. */
  overdue: number;
  slowestMs: number;
}

export function createLedger(): Ledger {
  return {
    instances: new Map(),
    scaled: new Map(),
    commands: [],
    calls: { done: 0, failed: new Map(), overdue: 0, slowestMs: 0 },
  };
}

/**
 * What must be so after the last of these commands. One that failed may have been carried out or not, and so may one
 * that was acknowledged while the lattice was split: the side that took it may have lost the instance to the other.
 */
export function expectedAfter(
  sent: readonly (Sent & { readonly means: boolean })[],
  wasSplit: (from: number, until: number) => boolean,
): Expected {
  const last = sent.at(-1);
  if (last === undefined) return undefined;
  return last.outcome === "done" && !wasSplit(last.at, last.until) ? last.means : undefined;
}
