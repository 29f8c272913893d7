/**
 * Every number of the system, with its unit last in its name and the reason for its value beside it.
 * Nothing else in the repository holds a timeout, a queue bound or a retry count.
 */

/** What is read from a module before V8 sees a byte of it, and what is refused. */
export const moduleLimits = {
  /** A StarlingMonkey component has 12 MB; twice that and some. */
  moduleBytesMax: 128 * 1024 * 1024,
  functionsMax: 100_000,
  importsMax: 1_000,
  exportsMax: 10_000,
  globalsMax: 10_000,
  typesMax: 100_000,
  dataSegmentsMax: 100_000,
  /** One guest language uses one; tools emit at most a handful. */
  tablesMax: 16,
  /** 10,000,000 entries abort the whole process (measured); the largest real table seen had 30,000. */
  tableElementsMax: 100_000,
  /** V8 allows 50,000 and reserves a frame for each; 50,000 × 50,000 functions is a bomb. */
  localsPerFunctionMax: 10_000,
  nameBytesMax: 4_096,
} as const;

/** What one guest may use when its start command does not say. */
export const guestLimits = {
  memoryBytesDefault: 64 * 1024 * 1024,
  memoryBytesMax: 1024 * 1024 * 1024,
  /** One unit is a function entry or a turn of a loop: 1e8 is 0.4–0.5 s of spinning (measured). */
  fuelDefault: 100_000_000,
  /** The counter is an i32. */
  fuelMax: 2_147_483_647,
  /** What a host call costs, so that a guest cannot loop over refused host calls for free. */
  fuelPerHostCall: 1_000,
  timeoutMsDefault: 5_000,
  timeoutMsMax: 300_000,
  /** Calls that wait while one is in progress; a longer queue only hides an overload. */
  mailboxDefault: 256,
} as const;

/** Restart policies and supervision. */
export const restartLimits = {
  backoffDelayMsDefault: 200,
  backoffDelayMsMaxDefault: 30_000,
  backoffRetriesDefault: 5,
  /** A run this long without a crash resets the count of tries. */
  stableRunMs: 60_000,
  /** `always` gives up after this many crashes within the period: a hot loop helps nobody. */
  alwaysIntensity: 10,
  alwaysPeriodMs: 5_000,
  /** The same for supervised parts of ours (OTP's words); a part that fails that often needs a person. */
  supervisorIntensity: 5,
  supervisorPeriodMs: 30_000,
} as const;
