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
  /** All functions together; V8's validation walks each of them: 10⁹ took 1 s from 700 KB (measured). */
  localsTotalMax: 10_000_000,
  nameBytesMax: 4_096,
  /** Every value type of every signature becomes an entry in memory; real sections have a few KB. */
  typeSectionBytesMax: 4 * 1024 * 1024,
  /** V8's own limit for parameters and for results. */
  valuesPerTypeMax: 1_000,
  /**
   * C++, Rust and setjmp use one value per exception. A caught one is held outside the guest's memory for as long
   * as its frame lives: with 16 vectors each, one stack of 1 MB held 200 MB (measured).
   */
  valuesPerTagMax: 4,
  tagsMax: 1_000,
  elementSegmentsMax: 100_000,
  /** All segments together: each entry takes 1 byte of the binary and at least 8 of memory. */
  elementsTotalMax: 200_000,
  customSectionsMax: 1_000,
  /** V8's own limit (`kV8MaxWasmFunctionSize`), bytes of one function body, before and after metering. */
  functionBodyBytesMax: 7_654_321,
  /** 2,500,000 nested blocks took V8 3.1 GB (measured); a big `switch` of a C compiler has thousands. */
  blockDepthMax: 20_000,
  /** 20,000 nested loops took V8's optimiser 4 s, 100,000 more than 100 s (measured); real code has tens. */
  loopDepthMax: 500,
  /** What metering may make of a module; one loop of 3 bytes becomes 19. */
  meteredBytesMax: 256 * 1024 * 1024,
  /** The start function runs before the host can set fuel: this much, 5 ms, must do for it. */
  startFuel: 1_000_000,
  /** Characters of a guest's text that a message repeats. */
  quotedCharactersMax: 64,
  /** Characters of V8's own reason for a refusal that a message repeats. */
  engineReasonCharactersMax: 200,
  /** Guest frames that a report of a trap shows; a stack overflow has thousands. */
  backtraceFramesMax: 16,
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
  /** What each byte costs that a guest hands to or takes from its host: copying is free of fuel otherwise. */
  fuelPerHostByte: 1,
  timeoutMsDefault: 5_000,
  timeoutMsMax: 300_000,
  /** Calls that wait while one is in progress; a longer queue only hides an overload. */
  mailboxDefault: 256,
  mailboxMax: 10_000,
} as const;

/** What a guest may say and ask for in one call of its host; all of it is counted before anything is allocated. */
export const guestTalkLimits = {
  /** An answer, or the payload of a capability call: NATS carries no message above 64 MiB, whatever its settings. */
  messageBytesMax: 64 * 1024 * 1024,
  /** Capability id, provider type and operation; the longest legal topic has 255 bytes. */
  hostCallNameBytesMax: 512,
  /** A guest's own error and what it says when it aborts; longer texts are cut. */
  errorTextBytesMax: 4_096,
  /** A longer line is logged in pieces. */
  logLineCharsMax: 4_096,
  /** What one write to a log takes; WASI lets a write be short, and the rest then costs fuel again. */
  logWriteBytesMax: 64 * 1024,
  /** POSIX grants 1,024 (IOV_MAX). */
  ioVectorsMax: 1_024,
  /** As much as the Web's getRandomValues grants; a guest that needs more asks again. */
  randomBytesMax: 64 * 1024,
  /** One descriptor table has three entries and a runtime has a handful of timers. */
  pollSubscriptionsMax: 256,
  /** Lists of what a module lacks, and of what it can do, are for people to read. */
  linkErrorsMax: 16,
  operationsListedMax: 32,
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
  /** How long a part may take to end after `stop` before it is ended by force; OTP's default `shutdown`. */
  supervisorStopMs: 5_000,
} as const;

/** What one message may hold. */
export const messageLimits = {
  textCharactersMax: 65_536,
  mapEntriesMax: 256,
  /** A command with more copies would have an answer that exceeds the default payload limit of 1 MiB. */
  startCountMax: 1_000,
  /** Entries of one page of a list, for the same reason. */
  listPageMax: 1_000,
  /** `module:` and the path of a file. */
  providerKindCharactersMax: 256,
  /** As long as the labels that `node.label` sets. */
  labelNameCharactersMax: 256,
  /** Roots that credentials may trust at once: the present one, the next one, and some of lattices that were joined. */
  trustRootsMax: 8,
  /** Providers that one identity may run. */
  hostsMax: 64,
} as const;

/** What a message may hold, whichever form it comes in. */
export const codecLimits = {
  /** Our deepest message nests 7; a million levels parse and then overflow whoever walks the result. */
  depthMax: 64,
  /** Keys of one map. A configuration has hundreds; V8 keeps larger maps as slow hash tables. */
  mapKeysMax: 4_096,
  /** Elements of one array: a page of 10,000 instances passes. */
  arrayElementsMax: 16_384,
  /** All keys and values of a message. 1 MiB of facts has about 120,000; the rest is headroom. */
  valuesMax: 262_144,
} as const;

/** How much of a refused value an error shows. */
export const echoCharactersMax = 64;

/** What a view keeps. */
export const viewLimits = {
  /** Facts kept while a replay is awaited: a node at full tilt states some 5,000 a second. */
  earlyFactsMax: 20_000,
  /** Of 256 KiB each: a node with 100,000 instances needs about 400. */
  replayPartsMax: 4_096,
  /** A part must pass a server with the default payload limit of 1 MiB with room to spare. */
  replayPartBytes: 262_144,
  /** Instances that a life of their node left behind, and that nobody runs again; those of two full nodes. */
  orphansMax: 20_000,
  /** Lives of nodes that one question between control planes names: a present and a former one of each of 5,000 nodes. */
  recallLivesMax: 10_000,
  /** Stopped instances that a query still finds, per node. */
  stoppedInstancesMax: 1_000,
} as const;

/** How a watch asks the nodes for what it missed. */
export const watchLimits = {
  /** A replay of 10,000 instances takes about 150 ms to be told and heard; then it is asked for again. */
  replayRetryMs: 500,
  /** Pauses double up to this: a node that cannot answer must not be hammered. */
  replayRetryMsMax: 8_000,
  /** About a minute of asking; a node that speaks again raises the doubt anew. */
  replayTriesMax: 10,
  /** The answer only says that the replay is on its way. */
  replayRequestTimeoutMs: 2_000,
  /** After a broadcast asked everybody, this long nobody is asked alone. */
  replayBroadcastQuietMs: 500,
} as const;

/** A node agent and what it hosts. */
export const nodeLimits = {
  /** A control plane suspects a node after three missed ones. */
  heartbeatMs: 2_000,
  /** Instances of one node; V8 allows about 12,000 with a memory per process (measured). */
  instancesMaxDefault: 10_000,
  /** A start that failed because the engine was gone waits this long for that news, then it counts as a crash. */
  engineVerdictMs: 1_000,
  /** A node whose engine has never come up by then is told to whoever started it, and ends. */
  engineFirstTries: 3,
  /** The first pause before an engine is started again; it doubles up to the second. */
  engineDelayMs: 50,
  engineDelayMsMax: 5_000,
  /** In effect without end: a node without an engine is of no use, and each try is a fact. */
  engineRetriesMax: 1_000_000,
  /** Instances that end while their node leaves: the longest call that a guest may have by default, and some. */
  drainMs: 8_000,
  /** Changes remembered for repeated commands; some minutes of a busy lattice. */
  changesMax: 20_000,
  /** A leaving node waits this long for others to take over what it runs; what they have not it ends. */
  handOverMs: 10_000,
  /** How long a leaving node waits for its last facts to reach the server. */
  flushMs: 1_000,
} as const;

/** The provider's side of a capability call. */
export const providerLimits = {
  /** Asking a node for a grant that its provider has not heard of; the guest waits meanwhile. */
  assignmentQueryMs: 1_000,
  /** Questions for one grant, each asked because a fact overtook the answer before; then the call is denied. */
  assignmentQueriesMax: 3,
  /** Grants that were asked for and not yet heard of as facts. */
  askedGrantsMax: 10_000,
  /** A grant that was asked for is believed this long; by then its facts have come. */
  askedGrantMs: 2_000,
  /** Questions for grants under way at once, so that a node of liars cannot fill the memory of a provider. */
  questionsMax: 1_000,
} as const;

/** The cache of modules on disk, and how modules travel. */
export const cacheLimits = {
  bytesMaxDefault: 2 * 1024 * 1024 * 1024,
  /** Half of the default payload limit of 1 MiB: an answer has room for its frame. */
  pieceBytes: 512 * 1024,
  uploadsMax: 16,
  /** The largest module in pieces of 32 KiB; each is an entry in memory. */
  piecesMax: 4_096,
  /** Of all unfinished uploads together. */
  uploadBytesMax: 512 * 1024 * 1024,
} as const;

/** How a control plane judges silence, and what it waits for. */
export const controlPlaneLimits = {
  /** What a node promises: one heartbeat in this time. */
  heartbeatPeriodMs: 2_000,
  /** One heartbeat is late: the node is asked whether it is there. A node that speaks is never asked. */
  quietAfterMs: 2_200,
  /** The bus answers within 1 ms that nobody listens; a node on a busy machine needs longer. */
  probeEveryMs: 200,
  probeTimeoutMs: 1_000,
  /** Nobody listens for this long: more than a reconnect takes after the death of a server (20 ms and 200 ms of jitter). */
  vanishedMs: 600,
  /** A node that was lost gets new work only after it has been there for this long. */
  backMs: 3_000,
  /** What a control plane says of itself; the others act in its place when they miss three. */
  beatMs: 500,
  peerLostMs: 1_750,
  /** What becomes possible at the same time is done together: facts of one event come within some ms. */
  relocateGatherMs: 50,
  /** What a command names and nobody has heard of is looked for again after these: facts take some ms. */
  unknownWaitsMs: [20, 200],
  /** A drain that does not say how long it may take. */
  drainNodeMs: 30_000,
  /** Before instances are offered to another node after one did not take them; its loss is known by then. */
  relocateRetryMs: 500,
  /** A module that is invalid on one node is so on the others; but somebody may have stored a lost one again. */
  relocateRefusedMs: 10_000,
  /** Another control plane answers from its memory; one that does not is not waited for. */
  recallTimeoutMs: 500,
  /** A command that another control plane is at is asked about again after this. */
  commandElsewhereMs: 100,
  /** Two control planes of which one counts more copies that are out of reach compare what they know this often. */
  recallEveryMs: 5_000,
  /** Two heartbeats missed, and half a period for a busy machine. */
  suspectAfterMs: 5_000,
  /** Three missed, and half a period; counted from the last word, like the line above. */
  lostAfterMs: 7_000,
  /** A node is told that it was heard at most this often: facts come by the thousand, one timer restart is enough. */
  heardEveryMs: 500,
  /** A lost node is forgotten after this; restarted ones come back under new names, and would pile up. */
  forgetAfterMs: 3_600_000,
  /** A rebuild is over when nothing new came for this long; 300 nodes answered a replay within 158 ms (measured). */
  settleMs: 250,
  /** How often a rebuild looks whether it is over. */
  settleLookMs: 25,
  /** A rebuild that has not settled by then answers with what it has, gaps named. */
  rebuildMsMax: 5_000,
  /** Commands in progress when it stops; a start may take longer, and its caller then gets no answer from here. */
  drainMs: 5_000,
  /** Admission of the largest module and its start take this at most. */
  nodeStartMs: 45_000,
  /** Calls in progress are answered before an instance stops; their deadline is 5 s by default. */
  nodeStopMs: 15_000,
  /** A grant is in force once the cell has taken it: some ms. */
  nodeGrantMs: 5_000,
  /** A request goes with a connection that is lost, which is back within 3 s; most are answered within some ms. */
  nodeRepeatMs: 2_000,
  nodePieceMs: 10_000,
  /** Of guest bytes; half of the default payload limit of 1 MiB. */
  pieceBytes: 512 * 1024,
  /** Room in a message for everything but the piece. */
  pieceOverheadBytes: 4_096,
  /** Nodes that get a module which nobody starts yet: one may be lost, the other still has it. */
  moduleCopies: 2,
  /** First answers kept for repeated commands. */
  answersMax: 10_000,
  /** Facts that `fact.list` can tell. */
  recentFactsMax: 10_000,
  /** Names that a refusal suggests. */
  suggestionsMax: 3,
  /** Single failures that one refusal lists. */
  failuresListedMax: 20,
} as const;

/** The bus: what a name may be, how much waits to be sent, and how long anything waits. */
export const busLimits = {
  /** The server closes a connection whose control line exceeds 4,096 bytes; a line holds a subject and a reply. */
  subjectBytesMax: 1_024,
  queueNameBytesMax: 256,
  headersMax: 32,
  headerNameBytesMax: 128,
  headerValueBytesMax: 4_096,
  /** What is gathered for one write; more is written at once, as the client does by itself. */
  writeBytesMax: 32_768,
  /** Unsent bytes in a socket; a server that froze would otherwise fill the memory of its publishers. */
  unsentBytesMax: 64 * 1024 * 1024,
  /** With the client's default of two minutes a partition was not noticed in 25 s; 1 s × 2 notices in 3.1 s. */
  pingIntervalMs: 1_000,
  pingsUnansweredMax: 2,
  /** A stale socket with unsent data never closes by itself; this long for an orderly end, then it is destroyed. */
  staleSocketMs: 100,
  reconnectDelayMs: 100,
  /** So that a whole lattice does not come back in the same millisecond. */
  reconnectJitterMs: 100,
  /** One try to reach one server; a frozen server accepts the connection and then says nothing. */
  dialTimeoutMs: 2_000,
  /** Beyond this a caller waits for something else than an answer. */
  requestTimeoutMsMax: 600_000,
  flushTimeoutMsDefault: 5_000,
  /** Subscriptions that are draining; one round trip is enough unless the server is gone. */
  drainTimeoutMs: 2_000,
  /** The orderly end of a connection after its drain; then its socket is destroyed. */
  closeTimeoutMs: 500,
  /** 12 characters of base64url are 72 random bits: a reply cannot be forged by guessing. */
  replyTokenCharacters: 12,
  /** One call for random bytes costs about 1 µs, whatever its size up to here. */
  replyTokensPerRefill: 512,
} as const;

/** The key-value capability: what every backend takes, and what the one in memory holds. */
export const kvLimits = {
  /** Of UTF-8. Redis and JetStream take more; a key is sent with every call. */
  keyBytesMax: 512,
  /** Its answer must pass the default payload limit of 1 MiB as base64 in JSON: 683 KiB. */
  valueBytesMax: 512 * 1024,
  /** A new key costs 50 µs in a bucket this full (measured): the keys are kept in order. */
  keysPerBucketMax: 100_000,
  /** Keys and values. */
  bytesPerBucketMax: 64 * 1024 * 1024,
  /** Instances of one name share a bucket, so this many kinds of guests. */
  bucketsMax: 1_024,
  /** Keys, values and overhead of all buckets; full buckets of every guest would fill any machine. */
  bytesMax: 512 * 1024 * 1024,
  /** What an entry costs beside its bytes: 0.7–0.85 KiB of resident memory (measured). */
  entryOverheadBytes: 768,
  listKeysDefault: 100,
  listKeysMax: 1_000,
  /** A page ends here too: its keys may grow sixfold as JSON escapes, to 768 KiB. */
  listBytesMax: 128 * 1024,
  /** Keys of one `get-many`, `set-many` or `delete-many`: the round trip no longer counts long before. */
  batchKeysMax: 1_000,
  /** Keys and values of one batch; 853 KiB as base64, and 35 bytes of JSON around each of 1,000. */
  batchBytesMax: 640 * 1024,
} as const;

/** The engine and its cells. */
export const engineLimits = {
  /** V8 reserves 8 GiB of addresses per memory and fails at about 16,100 of them, not always catchably (measured). */
  instancesMax: 12_000,
  /** Beyond it each further memory makes instantiating and collecting slower (measured: 1.8 ms at 10,000). */
  instancesPerCellMax: 2_500,
  /** Node 26 aborts the process at 40,000 suspended guests; a quarter of that and less. */
  suspendedCallsMax: 8_000,
  /** KiB that a suspended stack begins with: V8 keeps about 4 MB of them for reuse, so 128 stay quick. */
  suspendedStackKiB: 32,
  /**
   * MB of V8's semi-space, a third of the young generation, in each thread of an engine. With V8's 16, the main thread would keep
   * the garbage of 5,000 starts, and calls of 4 KiB cost a cell a third more (measured: memory that is used again stays in the cache).
   */
  semiSpaceMb: 2,
  /** How often the watchdog looks at each cell. */
  watchdogMs: 10,
  /** How often a cell looks for calls whose time is up while they wait. */
  deadlineSweepMs: 20,
  /** A cell that does not become ready, a server in reach, is broken; loading takes 50 ms, 500 under load. */
  cellReadyMs: 15_000,
  /** Reading, metering and compiling: 9 MB take 0.2 s; the limit is for what was made to be slow. */
  admissionMs: 20_000,
  /** Compiled modules kept although nothing runs them: a restart must not compile again. */
  idleModulesMax: 64,
  /** How often the engine tells its load: half of what a heartbeat needs. */
  loadMs: 1_000,
  /** Engine and cells answer commands within this, or are taken for broken. */
  answerMs: 15_000,
  /** Lines of a guest's output per second; more are counted and left out. */
  logLinesPerSecond: 200,
  logLineCharactersMax: 8_192,
  /** One denial fact per second for one permission of one instance; the others are counted in the next. */
  denialPeriodMs: 1_000,
} as const;

/** The client library. */
export const clientLimits = {
  /** One try of a person who waits; a program that outlives its server says more. */
  connectTimeoutMs: 3_000,
  /** A start may first pull and compile the largest module: 20 s on a slow machine, and some. */
  commandTimeoutMs: 30_000,
  /** A command is sent again after this, under the same id: the control plane that took it may be dead. */
  commandRepeatMs: 4_000,
  /** A guest's own default deadline and the way there and back. */
  callTimeoutMsDefault: 10_000,
  /** Of a message; what stands around a module's bytes in a command. A full configuration is refused by the bus. */
  envelopeBytes: 16_384,
  /** Half of the default payload limit, so that a piece is not what keeps other messages waiting. */
  pieceBytesMax: 512 * 1024,
  /** Pieces on their way at once: two fill a fast link, the others hide the answer's way back. */
  piecesInFlightMax: 4,
  /** Uploads of the whole, where nodes came and went; a third would not fare better. */
  uploadRoundsMax: 2,
  /** Facts or lines that wait for their reader; two seconds of a node at full tilt. */
  feedItemsMax: 10_000,
} as const;

/** The command line. */
export const cliLimits = {
  /** A part of a lattice waits for its bus this long before it says that there is none. */
  partConnectTimeoutMs: 30_000,
  /** From the first process to a lattice that answers, on a cold and busy machine; 2 s are usual. */
  upReadyTimeoutMs: 60_000,
  /** A part has its own deadlines for draining, of 10 s at most; then SIGKILL. */
  partStopMs: 15_000,
  /** Lines of a part's log that are shown when it crashes. */
  logTailLines: 12,
  /** Hexadecimal digits of a digest that tell modules apart in a table. */
  shortDigestDigits: 12,
  /** An upload that takes less needs no progress bar. */
  progressAfterMs: 300,
  /** How often the bar is drawn; eyes see no more. */
  progressEveryMs: 100,
  /** Its length; the numbers beside it fit a terminal of 80. */
  progressCharacters: 30,
} as const;

/** How bytes are copied out of guests; see copy-out.ts. */
export const copyLimits = {
  /** 64 answers of 4 KiB: one allocation for as many as are in flight at a time. */
  slabBytes: 262_144,
  /** Up to here V8 keeps the bytes in its own heap, which costs no allocation outside. */
  ownBytesMin: 64,
  /** A larger copy is worth an allocation of its own. */
  sharedBytesMax: 32_768,
} as const;

/** Topics of applications. */
export const topicLimits = {
  /** A subject has to fit the server's control line of 4,096 bytes with a reply and sizes; people write tens. */
  bytesMax: 255,
  /** The server matches token by token; deeper names are a mistake or an attack. */
  tokensMax: 8,
} as const;

/** Bodies that are pulled over the bus. */
export const streamLimits = {
  /** A body up to here travels in the message itself. */
  inlineBytesMax: 65_536,
  /** One piece; a quarter of the default payload limit, so that other messages are not kept waiting long. */
  pieceBytesMax: 262_144,
  /** A slow source is answered for with nothing after this, so that its reader knows that its server lives. */
  patienceMs: 5_000,
  /** And after that much more the server of the stream is taken for dead. */
  graceMs: 5_000,
  /** A stream that nobody reads for this long is given up. */
  idleMs: 60_000,
  /** A reader may be told of a stream before the server of its own cluster node heard of the subscription. */
  firstReadTries: 5,
  firstReadDelayMs: 50,
  /** Streams served at once by one cell or provider. */
  servedMax: 4_096,
} as const;

/** What one life of a component may hold of its host. */
export const componentLimits = {
  /** Streams, pollables, waits, requests: a server that works on one request at a time has some ten. */
  resourcesMax: 1_024,
  /** One read from a stream on a guest's behalf: an inline body is as large, and NATS takes it whatever its settings. */
  streamPieceBytes: 64 * 1024,
  /** The interface's own limit for one call (wasi:io/streams, blocking-write-zeroes-and-flush). */
  blockingZeroesMax: 4_096,
  /** The interface has no error for too many: 16 times what the Web grants, and 1 ms. */
  randomBytesMax: 1024 * 1024,
  /** Places in lists of keys that are kept, so that the next page need not count keys from the beginning. */
  listPlacesMax: 16,
  /** A blob that a guest takes in one piece: it stands in the host's memory as a whole. */
  wholeBlobBytesMax: 16 * 1024 * 1024,
} as const;

/** Key-value in NATS JetStream. */
export const natsKvLimits = {
  /** One request; usual are 0.2 ms, and a guest by default waits 5 s for everything. */
  requestTimeoutMs: 2_000,
  /** Tries of an operation whose key others change meanwhile. Each try that fails is somebody else's that did not. */
  triesMax: 64,
  /**
   * Servers before it let two conditional writes through that name one revision where a bucket has replicas: 50
   * increments at once were 14 (measured on 2.9.10).
   */
  replicasServerVersionMin: "2.10.19",
  /** While another process makes the same bucket: 2 ms are usual, a busy disk takes 50. */
  createRetryMs: 20,
  /** How often a filling bucket is asked for its size: each 4 MiB of 64. */
  sharesPerBucket: 16,
  /** What JetStream keeps beside key and value: 30 bytes, the bucket's name, 60 of headers of a conditional write. */
  entryOverheadBytes: 192,
  /** Requests of one batch that are on their way at once; values of 512 KiB are 8 MiB then. */
  batchWidth: 16,
  /** Keys that a listing has not looked at yet; the server sends no more until they are. */
  listedAtOnce: 500,
  /** All keys are looked at for a page, some 200,000 a second (measured); JetStream does not keep them in order. */
  listTimeoutMs: 5_000,
  /** How often a listing looks at what was written while it looked; only a key that is written every time is missed. */
  listRoundsMax: 16,
  /** What remains of a listing whose process died is dropped by the server after this. */
  listIdleMs: 10_000,
  /** The client's least for one fetch; it only passes where keys vanish while they are listed. */
  fetchMs: 1_000,
  /** Buckets that are known to exist; another one costs one question more. */
  bucketsKnownMax: 4_096,
} as const;

/** Key-value in Redis. */
export const redisKvLimits = {
  /** Connection, greeting and password; a frozen server accepts the connection and then says nothing. */
  connectTimeoutMs: 2_000,
  /** After a connection failed, calls fail at once for this long instead of each trying again. */
  reconnectDelayMs: 200,
  /** A server that is silent for this long is taken for lost; usual are 0.1 ms. */
  commandTimeoutMs: 2_000,
  /** Commands on their way; a slow server must not fill the memory of its provider. */
  commandsMax: 4_096,
} as const;

/** wasi:http for components. */
export const componentHttpLimits = {
  /** Node's server takes 16 KiB of headers, nginx 32 KiB; with the overhead below 1,000 usual ones pass. */
  fieldsBytesMax: 64 * 1024,
  /** What a field counts beside its name and value, as in HTTP/2 (RFC 9113, 6.5.2). */
  fieldOverheadBytes: 32,
  fieldNameBytesMax: 256,
  /** Path with query; RFC 9110 (4.1) asks for at least 8,000 octets of a URI. */
  pathBytesMax: 8_192,
  /** A domain name has at most 253 characters, a port 6 with its colon. */
  authorityBytesMax: 260,
  methodBytesMax: 32,
  /** The reference of a stream: the longest id of its holder, a dot, and 20 characters. */
  refCharactersMax: 128,
  /** What a body holds that its guest writes faster than it is read: as much as would have travelled inline. */
  pipeBytes: 64 * 1024,
  /** Writes that a pipe keeps apart before it joins them. */
  pipePiecesMax: 64,
  /** A body that its guest has not finished by then begins to travel: most are, and spare their reader a round trip. */
  inlineWaitMs: 20,
  /** The longest call that a guest may have: it could not wait longer. */
  firstByteTimeoutMsMax: 300_000,
  /** Bodies of one guest that are read elsewhere at once, slow readers of earlier answers among them: 16 MiB. */
  bodiesServedMax: 256,
} as const;

/** What is read from a component before it is translated, and what translating it may take. */
export const componentAdmissionLimits = {
  /** The largest seen, StarlingMonkey, has 12 MB and takes 2 s to translate. */
  componentBytesMax: 64 * 1024 * 1024,
  /** Entries of all lists of the component; each is an object in memory. Large ones have some 2,000. */
  entriesMax: 50_000,
  /** Of all type sections; the whole of WASI 0.2 takes 20 KB. */
  typeBytesMax: 1024 * 1024,
  /** A composition of compositions nests 3; readers of components recurse. */
  depthMax: 16,
  componentsMax: 256,
  /** JavaScript guests have 8; each is compiled and instantiated on its own. */
  coreModulesMax: 64,
  /** Instances of core modules that make up one instance of the component; each has fuel of its own. */
  coreInstancesMax: 64,
  /** Of all parts together, each of up to `tableElementsMax` entries. */
  tablesMax: 16,
  /** Imported interfaces that a refusal names. */
  refusedImportsListedMax: 8,
  /** Translating 12 MB takes 2.2 s, four times that on a busy machine; below `admissionMs`, so that it is told apart. */
  translationMs: 12_000,
  /** Heap of the thread that translates: the generated code of a large component, 2 MB, and its copies. */
  translationHeapMb: 512,
  /** How much of a function's type is shown to people. */
  shownSignatureCharactersMax: 1_000,
  /** Generated code; that of a component with all of WASI 0.2 has 0.5 MB. */
  sourceCharactersMax: 32 * 1024 * 1024,
} as const;

/** Messages for guests, and what guests ask of messaging. */
export const messagingLimits = {
  /** Each is a subscription at the server; a guest that needs more wants a wildcard. */
  subscriptionsPerInstanceMax: 64,
  /** Messages that wait in one subscription; as many as the mailbox of an instance takes. */
  queuedMessagesMax: 256,
  /** And their bytes: a queue of the largest messages would hold 256 MiB. */
  queuedBytesMax: 4 * 1024 * 1024,
  /** Of all subscriptions of one provider. */
  queuedBytesTotalMax: 256 * 1024 * 1024,
  /** What a waiting message costs beside its body: its subject, its reply subject and three objects. */
  queuedEntryBytes: 512,
  /** A guest by default waits 5 s for everything. */
  requestTimeoutMsDefault: 2_000,
  /** As long as the most patient guest may take. */
  requestTimeoutMsMax: 300_000,
  /** One message; a cell ends a call of its own accord after 5 s unless its start command said otherwise. */
  deliveryTimeoutMs: 30_000,
  /** A message is held this long while its instance is away: the longest pause of a default restart policy. */
  unreachableMs: 30_000,
  /** Between two tries to reach an instance; one costs the server's notice that nobody listens. */
  retryDelayMs: 250,
  /** What is lost is counted and told at most this often for a subscription: it is lost by the thousand. */
  reportPeriodMs: 1_000,
  /** The server's confirmation that it has a subscription, before its guest is told so. */
  subscribeTimeoutMs: 2_000,
  /** A guest may subscribe before the facts of its grant have come; if by then they have not, they never will. */
  unconfirmedMs: 2_000,
  /** Messages in progress when the provider stops; then they are given up, before its host ends it by force. */
  drainMs: 3_000,
  /** After that long without a word JetStream takes a message for lost; told every third of it that work goes on. */
  ackWaitMs: 30_000,
  /** Times that a guest may fail on a message of a stream before it is given up. */
  deliveriesMax: 5,
  /** Before the second delivery; it doubles for each further one: 15 s for all five. */
  nakDelayMs: 1_000,
  /** How long a pull waits at the server; a subscription that ended is noticed by then at the latest. */
  pullMs: 5_000,
  /** Before a stream that could not be read is tried again: perhaps it does not exist yet. */
  streamRetryMs: 2_000,
} as const;

/** HTTP requests to the outside. */
export const httpClientLimits = {
  /** RFC 9110 (4.1) asks for at least 8,000 octets. */
  urlCharactersMax: 8_192,
  /** Of a request, and of an answer; a component with 1,000 headers passes. */
  headersMax: 1_024,
  /** Names and values of a request: servers refuse more than 8 to 32 KiB anyway. */
  headersBytesMax: 64 * 1024,
  headerNameBytesMax: 256,
  /** The head of an answer; servers with many cookies send some 10 KiB. */
  answerHeadersBytesMax: 64 * 1024,
  /** Honest chains have two or three; a browser gives up at 20. */
  redirectsMax: 5,
  /** A SYN is repeated after 1 and 3 s: one more try than that. */
  connectTimeoutMs: 5_000,
  timeoutMsDefault: 30_000,
  /** No guest can wait longer; see guestLimits. */
  timeoutMsMax: 300_000,
  /** Between two pieces of an answer that somebody reads. */
  bodyIdleMs: 30_000,
  /** An answer that never ends, or drips a byte at a time, has a socket this long. */
  streamMsMax: 3_600_000,
  /** A body in either direction; an endless one must end somewhere. */
  bodyBytesMax: 4 * 1024 * 1024 * 1024,
  /** Its answer must pass the default payload limit of 1 MiB as base64 in JSON, with its headers. */
  inlineBodyBytesMax: 512 * 1024,
  /** A short body that is not complete by then travels as a stream: its reader may want its first event now. */
  inlineWaitMs: 50,
  /** Requests whose answers are not read to their end; each has a socket. */
  requestsMax: 1_024,
  /** One guest must not take them all. */
  requestsPerInstanceMax: 128,
  /** With those that wait for the next request of their host; the usual limit of files is 4,096 and more. */
  socketsMax: 2_048,
  /** Below the 5 s after which Node's servers hang up. */
  keepAliveMs: 4_000,
  /** Where a server promises more. */
  keepAliveMsMax: 15_000,
  /** Requests in progress when it is closed; then they are given up, within what a supervisor grants a part. */
  closeGraceMs: 2_000,
} as const;

/** HTTP requests from outside to guests. */
export const httpServerLimits = {
  /** Request line and headers, twice of what Node takes by itself; nginx takes 32 KiB too. */
  headBytesMax: 32 * 1024,
  /** Path with query; RFC 9110 (4.1) asks for at least 8,000 octets of a URI. */
  pathCharactersMax: 8_192,
  /** Fields of a request; browsers send some 20. */
  headersMax: 256,
  /** An identifier of a request that is passed on: a traceparent has 55 characters, a UUID 36. */
  requestIdCharactersMax: 128,
  /** Names of headers whose lower case is remembered; real traffic has some hundred. */
  headerNamesKnownMax: 1_024,
  /** Fields of an answer and what they take: as much as a component may set. */
  answerHeadersMax: 2_048,
  answerHeadersBytesMax: 64 * 1024,
  /** Requests in progress; 64 KiB of body each are 256 MiB then. */
  inFlightMax: 4_096,
  /** Sockets, most of them idle between two requests. */
  connectionsMax: 10_000,
  /** A head that is not complete by then is an attack; a slow phone takes a second or two. */
  headersTimeoutMs: 10_000,
  /** A request with its body: Node's own default. A slow guest that holds up an upload counts too. */
  requestTimeoutMs: 300_000,
  /** How often the two above are looked at; Node's default of 30 s would let each take that much longer. */
  connectionLookMs: 1_000,
  /** A socket on which nothing moves, in either direction; nginx waits as long for a backend and for a client. */
  idleMs: 60_000,
  /** An idle socket between two requests; Node's default, and what its `Keep-Alive` header promises clients. */
  keepAliveMs: 5_000,
  /** From a request to the head of its answer; guests by default have 5 s, and a mailbox before them. */
  answerTimeoutMs: 30_000,
  /** A short body that has not come to its end by then: 64 KiB at 2 KiB/s. */
  shortBodyMs: 30_000,
  /** A body whose length nobody told begins to travel after this, for it may never be whole: events, not a form. */
  firstBodyMs: 1_000,
  /** A body of a request; streamed, so that it is the guest's patience which it costs and no memory. */
  bodyBytesMax: 1024 * 1024 * 1024,
  /** An answer up to here is written in one piece with its head; copying a larger one costs more than a second write. */
  joinedBytesMax: 16 * 1024,
  /** One read of a body that is sent on to a client. */
  pieceBytes: 64 * 1024,
  /** A route whose last instance went answers 503 for so long: a restart with backoff, a move to another node. */
  formerRouteMs: 30_000,
  formerRoutesMax: 1_024,
  /** Routes of one server; each instance has at most a few, and those of one name share them. */
  routesMax: 10_000,
  routePathCharactersMax: 1_024,
  /** Waiting for this is what a client is told who came too early. */
  retryAfterSeconds: 1,
  /** After the listener closed, sockets in use get one more answer, which says that it is the last. */
  lingerMs: 1_000,
  /** Requests in progress when it is closed; then they are cut off, within what a supervisor grants a part. */
  drainMs: 3_500,
  /** How often it looks meanwhile whether they are over. */
  drainLookMs: 50,
} as const;

/** The life of a provider in its host. */
export const providerLifeLimits = {
  /** From its creation to its subscription: it may have to connect, which takes 2 s where a server is frozen. */
  openMs: 10_000,
  /** How often it is asked whether it is well; what it finds out is a fact, so not more often. */
  checkPeriodMs: 5_000,
  /** Its backends answer within 2 s or count as silent; then it is not well either. */
  checkMs: 4_000,
  /** A provider that is not well for this long is made anew: connections may be in a state that only this ends. */
  unwellMs: 60_000,
  /** Calls in progress and bodies that are still read when it ends; the longest default deadline of a guest, and some. */
  drainMs: 8_000,
  /** The end of its capability after that. */
  closeMs: 4_000,
  /** The first pause before a failed one is started again; it doubles up to the second. */
  restartDelayMs: 200,
  restartDelayMsMax: 30_000,
  /** About an hour of trying, on average; then it needs a person, who sees `gave-up`. */
  restartsMax: 240,
  /** A node that was not heard for this long holds no grants: as long as a control plane takes it for alive. */
  silentNodeMs: 7_000,
  /** A control plane waits for a start or an update: it opens, and nobody drains before the answer. */
  nodeStartMs: 15_000,
  /** A stop drains and closes. */
  nodeStopMs: 15_000,
  /** Characters of a reason that a fact repeats. */
  reasonCharactersMax: 500,
} as const;

/** The blob store capability: what every backend takes, and what the one in memory holds. */
export const blobLimits = {
  /** Of UTF-8; as base64 in the name of a stream, with lattice and bucket of 64 each, it stays within JetStream's 255. */
  containerNameBytesMax: 64,
  /** As S3 has it; as base64 in a subject it stays within the server's control line of 4,096 bytes. */
  objectNameBytesMax: 1_024,
  /** 1,000 pieces of a stream; what is larger wants a store of its own. */
  objectBytesMax: 128 * 1024 * 1024,
  /** Objects and their overhead; JetStream sets that room aside when a container is made. */
  bytesPerContainerMax: 256 * 1024 * 1024,
  /** Each is a JetStream stream; a guest makes them at will. */
  containersPerBucketMax: 64,
  /** Of all containers together, in memory; objects that are still on their way count. */
  bytesMax: 512 * 1024 * 1024,
  /** What an object, or a container, costs beside its bytes: its name, its entry, its description. */
  objectOverheadBytes: 1_024,
  /** Containers in memory, of all buckets. */
  containersMax: 4_096,
  /** What is kept, sent and read in one go: the usual chunk of JetStream's object store. */
  chunkBytes: 128 * 1024,
  /** Bodies on their way in at once; each holds two chunks. */
  transfersMax: 256,
  listObjectsDefault: 100,
  listObjectsMax: 1_000,
  /** A page ends here too: its names may grow sixfold as JSON escapes, to 768 KiB. */
  listBytesMax: 128 * 1024,
  /** Names of one `delete-objects`. */
  batchNamesMax: 1_000,
} as const;

/** Blobs in NATS JetStream. */
export const natsBlobLimits = {
  /** One request; a chunk is acknowledged in 0.5 ms, and a guest by default waits 5 s for everything. */
  requestTimeoutMs: 2_000,
  /** Tries of an operation whose object others change meanwhile. Each try that fails is somebody else's that did not. */
  triesMax: 64,
  /** Requests of one batch that are on their way at once. */
  batchWidth: 16,
  /** Objects that a listing has not looked at yet; the server sends no more until they are. */
  listedAtOnce: 500,
  /** All objects are looked at for a page; JetStream does not keep them in order. */
  listTimeoutMs: 5_000,
  /** What remains of a listing whose process died is dropped by the server after this. */
  listIdleMs: 10_000,
  /** The client's least for one fetch; it only passes where objects vanish while they are listed. */
  fetchMs: 1_000,
} as const;

/** Modules on their way from node to node. */
export const pullLimits = {
  /** Room in a message for everything but the piece. */
  pieceOverheadBytes: 4_096,
  /** Pieces asked of one holder at once; enough to hide a round trip of some ms. */
  piecesPerHolder: 4,
  /** Holders asked at once, each for other pieces: 6 MiB on their way at most. */
  holdersAtOnce: 3,
  /** One piece; four of 512 KiB at once in this time are 1.7 Mbit/s, and a start does not wait for less. */
  pieceTimeoutMs: 10_000,
  /** When nothing else is left to ask for, a piece that takes longer than this is asked of a second holder too. */
  slowPieceMs: 500,
  /** Holders that a node is told of, the nearest ones; more than it would ever ask. */
  holdersToldMax: 8,
  /** Times that pieces which others crowded out are fetched again. */
  refillsMax: 2,
  /** Modules that one node fetches at once; more wait, so that memory and links are bounded. */
  pullsAtOnce: 4,
} as const;

/** Copies of modules that control planes see to. */
export const moduleCopyLimits = {
  /** What one command brings to several nodes is looked at together, once its facts are there. */
  gatherMs: 300,
  /** A module as large as they come, over 20 Mbit/s. */
  pullMs: 60_000,
  atOnce: 2,
  /** A copy that failed, or was evicted, is made again after this at the earliest: full caches must not play ball. */
  againMs: 30_000,
} as const;

/** Registries of the OCI distribution specification. */
export const registryLimits = {
  /** `host/name:tag`: the specification's hosts, names (255 characters) and tags (128) fit. */
  referenceCharactersMax: 512,
  /** A manifest, an index or a token: connection, redirects and answer. A distant registry takes 1 s. */
  requestMs: 8_000,
  /** Whether a host that may speak plain HTTP speaks TLS: one that does not says so at once, or never. */
  probeMs: 2_000,
  /** No byte of a blob for this long: the connection is given up and the rest asked for on a new one. */
  stallMs: 8_000,
  /** Connections for one blob that broke; the next goes on where the last one ended. */
  resumesMax: 3,
  /** What the specification says a registry should take at least. */
  manifestBytesMax: 4 * 1024 * 1024,
  /** Tokens of large registries have some 4 KiB. */
  tokenBytesMax: 64 * 1024,
  credentialsBytesMax: 1024 * 1024,
  /** Registries redirect once, to their storage. */
  redirectsMax: 5,
  /** Nodes asked to resolve a reference before it is given up: they may differ in credentials and reach. */
  resolversMax: 3,
  /** A node's answer to that: a token, a manifest behind an index, and some. */
  resolveMs: 25_000,
} as const;

/** The optional directory in etcd: a mirror of who is there, and a hint for those who watch it. */
export const directoryLimits = {
  /** What a process that died had written stays this long; the bus tells sooner, so that nothing waits for it. */
  leaseTtlS: 10,
  /** Two renewals may be lost before the lease is. */
  renewMs: 3_000,
  /** Answers take some ms, the election of a new leader 1 s. */
  requestTimeoutMs: 2_000,
  /** The pause before the next try while etcd is away; it doubles up to the second. */
  retryMs: 250,
  retryMsMax: 5_000,
  /** A watch is opened anew after this, for one whose connection died without a word is merely silent. */
  watchMsMax: 60_000,
  /** How long a process that ends waits for its entries to be gone; if they are not, they expire. */
  closeTimeoutMs: 1_000,
  /** etcd clusters have 3, 5 or 7 members. */
  endpointsMax: 16,
  /** One answer, or one line of a watch: a page of large records, and etcd's own limit of 1.5 MiB for one request. */
  answerBytesMax: 8 * 1024 * 1024,
  /** Records that are read at once: a usual one has 400 bytes. */
  pageRecords: 1_000,
  /** Nodes that a watch remembers; the largest lattice that was measured has 1,000. */
  nodesMax: 20_000,
  /** Of etcd's own words that a log repeats. */
  reasonCharactersMax: 200,
} as const;

/** What parts of another version say and hear. */
export const versionLimits = {
  /** Other major versions of the protocol whose commands are refused in words: the one before, and some to come. */
  otherMajors: [0, 2, 3, 4, 5, 6, 7, 8, 9],
  /** Of a version that a node names, in what is told of it. */
  versionCharactersMax: 32,
} as const;

/** Calls whose holder may have ended: who asks for them when, and who answers by when. */
export const lostCallLimits = {
  /** Nearly every call is answered long before, and none of those costs anything. */
  slowAfterMs: 500,
  /** How often a connection looks for slow calls while any are pending; a walk over all of them. */
  lookEveryMs: 200,
  /** What was asked about already is asked about again with every other look: half of what a caller is promised. */
  askEveryMs: 390,
  /** A control plane answers from what it knows, or after asking a few nodes. */
  questionTimeoutMs: 1_000,
  /** What one question holds; the oldest come first, and the others are for the next one. */
  targetsMax: 500,
  callsMax: 4_000,
  /** A node asks its cells; one that is busy for longer does not know yet what it holds. */
  nodeTimeoutMs: 400,
  cellTimeoutMs: 200,
  /** Between the verdict and the failure: an answer may come on a slower way than the verdict. */
  graceMs: 100,
  /** A loss that was noticed just before a call began may be what ended it: clocks start after the way there. */
  slackMs: 1_000,
  /** How much longer than a call's age its cell was stuck before the call surely came too late to begin. */
  stuckMarginMs: 1_000,
  /** Losses remembered by what they hit: those of two full nodes, with their names. */
  lossesMax: 50_000,
  /** As long as a request may last. */
  lossMs: 600_000,
} as const;

/** What speaks for and against a node that could take an instance, in copies of the same name. */
export const placementLimits = {
  /**
   * What a step away from a provider counts, from its node to its zone and from there to the rest: enough that one copy
   * goes to its provider, too little to heap a thousand of them there.
   */
  copiesPerStepAway: 1,
  /** A quarter more of its capacity in use counts like one copy; finer steps would be noise. */
  loadSteps: 4,
  /** Modules of which the kind is remembered; an entry takes 200 bytes. */
  guestKindsMax: 4_096,
} as const;

/** Commands that control planes sign for one life of one node. */
export const signedCommandLimits = {
  /**
   * How far the signer's clock and the node's may be apart, the way of the message included. Machines at the edge are
   * off by seconds and more without NTP; within this time it is the memory of nonces that keeps out repetitions.
   */
  windowMs: 60_000,
  /** Commands remembered: 800 a second for twice the window. Beyond them older ones are refused by their time. */
  noncesMax: 100_000,
  /** Certificates that were found good, by their text. A lattice has a few control planes, and those before them. */
  certificatesKnownMax: 64,
  /** One fact per second for one reason to refuse one command; the others are counted in the next. */
  refusalPeriodMs: 1_000,
} as const;

/** Proofs of grants: what control planes sign, and providers check. */
export const proofLimits = {
  /** Version, grant, end, key and 86 characters of signature, with the dots between them: 126. */
  proofCharactersMax: 130,
  /** Names of 64 characters each, a key, a date and a signature, in base64. */
  certificateCharactersMax: 1_024,
  /** Of one node, or in one message: those who signed the proofs of its grants. */
  certificatesMax: 16,
  /** For how long a proof counts: what a node that was cut off can still do after it lost a grant that nobody revoked. */
  proofMs: 300_000,
  /** Of the id of a grant, 5.2 bits each: nobody meets one by chance. */
  grantIdCharacters: 16,
  /** How far the clocks of a provider and a control plane may be apart; what ends later than that allows is no proof. */
  clockSkewMs: 60_000,
  /** Proofs in one start command: 130 characters each, in half of the default payload limit of 1 MiB. */
  proofsPerCommandMax: 4_000,
  /** A node waits this long for fresh proofs, and then tells those that it has; a provider waits 1 s for both. */
  renewMs: 600,
  /** One instance is renewed, and one node is asked for it, at most this often. */
  renewEveryMs: 5_000,
  /** Control planes beat twice a second; after this silence there are none, and expired proofs count. */
  planeSilenceMs: 5_000,
  /** When they are back: until then expired proofs count as in the silence, for all are renewed at once. */
  planeReturnMs: 30_000,
  /** Grants that were revoked and are remembered, 100 bytes each; the oldest is forgotten first. */
  revokedMax: 100_000,
  /** For how long: a node that kept silent about a revocation could have an old proof renewed after that. */
  revokedMs: 86_400_000,
  /** Of grants; 16 KiB of ids. */
  revokedPerMessageMax: 1_000,
} as const;

/** What is kept of what instances use and are refused. */
export const auditLimits = {
  /** Hosts, topics and operations that are told apart under one permission; a list beyond that nobody would grant. */
  exactPermissionsMax: 8,
  /** As in a grant: a longer one cannot be assigned. */
  permissionCharactersMax: 256,
  /** Of a permission that is missing: what a guest asked for, in messages and facts. A longer one is cut short. */
  permissionCharactersShown: 128,
  /** Refusals that are told one by one, of one instance in one period; the others wait for the next one. */
  denialsPerPeriodMax: 16,
  /** Refusals that wait, by what was refused: 200 bytes each for an instance that asks for everything. */
  denialsWaitingMax: 128,
  /** Refusals that differ and are kept with an instance, 400 bytes each: enough to see what is wrong. */
  denialsKeptMax: 8,
  /** The same for one that was started to be audited: several times what any guest needs. */
  denialsKeptInAuditMax: 128,
  /** As many permissions as a grant may have, and as many grants as an instance; of either more are not remembered. */
  grantPermissionsMax: 64,
  /** What a provider may say in one answer that it has used: more hops of a redirect than it follows. */
  usesPerAnswerMax: 16,
  /** Uses and refusals that go along when instances move, 200 bytes each: a fifth of the default payload limit. */
  recordsPerStartMax: 1_000,
} as const;

/** Who may sign in, and how that is looked after. */
export const authLimits = {
  /** Certificates of control planes: a year, as usual for certificates that people renew; `auth check` warns before. */
  certificateMs: 365 * 86_400_000,
  /** `auth check` says that a certificate ends when it has less than a month left. */
  certificateWarningMs: 30 * 86_400_000,
  /** After SIGHUP a server with 10,000 users takes 1.1 s until the new ones count (measured). */
  reloadTimeoutMs: 5_000,
  /** How often it is asked meanwhile. */
  reloadLookMs: 50,
  /** While another process changes the same folder, which takes it some ms. */
  lockWaitMs: 2_000,
  /** Servers of a cluster ping each other and their clients so often: with the defaults a route that was cut stays in use for minutes. */
  serverPingMs: 1_000,
  serverPingsUnansweredMax: 2,
  serverWriteDeadlineMs: 2_000,
  /** One connection that must be refused: servers answer within some ms, and close after 2 s at the latest. */
  strangerTimeoutMs: 3_000,
} as const;

/** What is told of messages and subscriptions that a server refuses. */
export const refusalLimits = {
  /** As with capabilities that are refused: once a second is enough to see it, and floods nobody. */
  periodMs: 1_000,
  /** Subjects told apart at once; a part has some thirty of its own. */
  kindsMax: 64,
  /** Of a subject that is told of; ours have some hundred characters. */
  subjectCharactersMax: 256,
} as const;

/** Memory of guests that have ended. */
export const memoryDebtLimits = {
  /** Between two collections of a cell: one takes 3 to 20 ms, and this much is 4 guests of 64 MiB or 500 of 0.5 MiB. */
  owedBytesMax: 256 * 1024 * 1024,
} as const;
