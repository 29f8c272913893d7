/** Every number of the campaign, with its reason. */
export const chaosLimits = {
  /** Faults begin within this time; with the longest of them a round has some 15 s of trouble. */
  troubleMs: 9_000,
  /** How long one fault lasts: shorter ones pass unnoticed, the longest is beyond the loss of a node (7 s of silence). */
  faultMsMin: 800,
  faultMsMax: 9_000,
  faultsMin: 2,
  faultsMax: 5,
  /** Between two servers of a rolling restart: clients reconnect within some 200 ms, routes within 1 s. */
  rollingPauseMs: 1_500,
  /** Of every packet, per direction. */
  lossPercent: 10,
  /** A healed lattice is whole again within this, or the round has failed. */
  recoveryMs: 20_000,
  /** After a check that found nothing, once more: what still moves would show. */
  stillMs: 1_500,
  lookEveryMs: 250,
  /** A part is up within this on a machine that starts fifteen at once. */
  readyMs: 60_000,
  /** One question of the campaign itself. */
  askMs: 2_000,
  /** So many answers per server, all of which must be the truth: planes on one server share its questions at random. */
  answersPerServer: 6,
  callTimeoutMs: 2_000,
  /** Pause between the calls of one caller: the load is there to be hurt, not to fill the machine. */
  callPauseMs: 25,
  commandPauseMs: 60,
  /** A command's own deadline is the client's (30 s); beyond that and this it hangs. */
  overdueMs: 1_500,
  /** What was acknowledged this long before the lattice was split may not have reached the other side. */
  spreadMs: 1_000,
  /** Servers find each other again this long after the network is whole; measured: 3 s. */
  routesBackMs: 4_000,
  /** Differences of a kind that one report shows. */
  shownMax: 5,
} as const;

/** What a round begins with, and how much its load adds. */
export const population = {
  echoes: 30,
  stays: 8,
  counters: 10,
  scaledMax: 6,
  /** Instances of one commander; beyond it, it stops some. */
  poolMax: 12,
  commanders: 2,
} as const;
