/** Every number of the campaign, with its reason. */
export const soakLimits = {
  /** Samples of a run; more make its report no better. */
  samplesMax: 600,
  /** At most this often: reading /proc and asking the server costs some milliseconds. */
  sampleMsMin: 500,
  /**
   * A shorter run has not settled: V8 collects the old generation of a quiet process once in a minute or two, and until
   * then it rises. What it says of memory is shown and not judged.
   */
  judgedMinutesMin: 10,
  /** Of resident bytes over the last half, per ten minutes, as a share of their median. */
  slopePer10MinMax: 0.02,
  /** A rise below so many standard deviations of the samples around their line is noise. */
  noiseDeviations: 2,
  /** The most resident bytes of the last half, as a share of their median. */
  peakMax: 1.1,
  /** A rise of less than this over the half is a page of the allocator or a compiled function, whatever its share. */
  slackBytes: 4 * 1024 * 1024,
  /** V8's young generation: between two looks a process may hold all of it or nothing. */
  peakSlackBytes: 16 * 1024 * 1024,
  /** After everything is stopped, counts come to rest within this: sockets linger, pools let go of threads. */
  restMs: 15_000,
  restLookMs: 250,
  /** Threads that V8 and libuv add to a pool once and keep. */
  poolThreadsSlack: 4,
  /** Sockets between two of our own requests, and one that is being closed. */
  filesSlack: 2,
  /** A part that was slow on a busy machine is watched more closely for half a minute: one timer. What leaks, leaks many. */
  timersSlack: 1,
  /** Of a run that is judged, and before it: ten minutes for one of thirty. */
  warmUpShare: 1 / 3,
  /** Commands on their way while memories are filled. */
  fillAtOnce: 50,
  callTimeoutMs: 5_000,
  callPauseMs: 5,
  trapPauseMs: 250,
  requestPauseMs: 10,
  /** One life of an instance from start to stop, each with a grant that comes and goes. */
  churnPauseMs: 400,
  updatePauseMs: 4_000,
  planeRestartPauseMs: 15_000,
  /** A part that was killed is there again within this on a busy machine. */
  readyMs: 30_000,
} as const;
