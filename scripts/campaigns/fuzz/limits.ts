/** Every number of the campaign, with its reason. */
export const fuzzLimits = {
  /** A case that takes longer twice in a row hangs; the slowest honest one, a translated component, takes 0.5 s. */
  caseMsMax: 1_000,
  /** A worker of which nothing was heard for so long is stuck within one case. */
  silentMsMax: 30_000,
  /** Before the first case: targets load the product, and build examples that are stale. */
  loadMsMax: 180_000,
  /** Between two checkpoints, where memory is looked at. */
  chunkCases: 1_000,
  /** And in time, for targets whose cases are slow. */
  chunkMsMax: 5_000,
  /** A case that is replayed is made smaller for so long. */
  shrinkMsMax: 20_000,
  /** Code is compiled, and caches fill, within this many checkpoints; then the base is taken. */
  warmUpChunks: 3,
  /** A job with fewer checkpoints says nothing about memory. */
  judgedChunksMin: 8,
  /** What may remain in the end beyond the base, as a share of it. */
  growthMax: 0.1,
  /** Of a heap of 20 MB a tenth is less than what V8 keeps of compiled code from one checkpoint to the next. */
  heapSlackBytes: 4 * 1024 * 1024,
  /** The allocator gives pages back when it likes. */
  rssSlackBytes: 48 * 1024 * 1024,
  /** Jobs of one target at least, so that both workers have some of each. */
  jobCasesMax: 20_000,
  /** A refusal is read by people. */
  messageCharactersMax: 1_200,
} as const;
