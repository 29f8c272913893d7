import type fc from "fast-check";

/** One thing that takes input from outside, and what may come of it. */
export interface FuzzTarget<Case = unknown> {
  readonly name: string;
  /** How many cases it gets for one of a cheap target: less than 1 where a case is expensive. */
  readonly weight: number;
  /** Where an honest case may take longer than `fuzzLimits.caseMsMax`. */
  readonly caseMsMax?: number;
  readonly arbitrary: fc.Arbitrary<Case>;
  /**
   * Feeds it. Whatever it throws is a finding; it says whether the input was taken, for a target that takes nothing
   * tests nothing.
   */
  check(one: Case): boolean | Promise<boolean>;
  /** Ends what its checks have started. */
  readonly end?: () => Promise<void>;
}

/** Writes a target whose arbitrary gives what its check takes. */
export function fuzzTarget<Case>(target: FuzzTarget<Case>): FuzzTarget {
  return target as FuzzTarget;
}
