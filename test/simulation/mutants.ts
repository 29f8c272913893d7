/** A deliberate fault in one file of the product. */
export interface Mutant {
  readonly name: string;
  /** From the root of the repository. */
  readonly file: string;
  /** Occurs there exactly once. */
  readonly find: string;
  readonly replace: string;
  /** What the product does wrong with it. */
  readonly says: string;
}

const applyFact = "src/lattice/apply-fact.ts";
const presence = "actors/control-plane/node-presence-machine.ts";
const controlPlane = "actors/control-plane/control-plane.ts";
const instance = "actors/instance/instance-machine.ts";

/** What a simulation that is worth its name must notice, each within twenty seeds. */
export const mutants: readonly Mutant[] = [
  {
    name: "old-seq",
    file: applyFact,
    find: "  if (fact.seq <= node.seq) return undefined;\n",
    replace: "",
    says: "a fact that comes twice or late is applied again",
  },
  {
    name: "old-epoch",
    file: applyFact,
    find: "  if (node !== undefined && fact.epoch < node.epoch) return undefined;\n",
    replace: "",
    says: "facts of a former life count for the present one",
  },
  {
    name: "no-gap-check",
    file: applyFact,
    find: "  if (fact.seq > node.seq + 1) {",
    replace: "  if (fact.seq < 0) {",
    says: "a missing fact is not noticed when the next one comes",
  },
  {
    name: "old-replay",
    file: applyFact,
    find: "      if (stale) return undefined;\n",
    replace: "",
    says: "a replay replaces what is newer than it",
  },
  {
    name: "ignored-digest",
    file: applyFact,
    find: '    return digestText(node.digest) === fact.data.digest ? undefined : enterGap(node, "digest");',
    replace: "    return undefined;",
    says: "a digest that differs is ignored",
  },
  {
    name: "forgotten-orphans",
    file: applyFact,
    find: "    if (node !== undefined) endLife(view, node);\n",
    replace: "",
    says: "what ran when its node began a new life is forgotten",
  },
  {
    name: "no-replay-after-reconnect",
    file: "actors/lattice-watch/lattice-watch.ts",
    find: "      forgetStatus = bus.onStatus((status) => {",
    replace:
      "      forgetStatus = (() => () => {})(); ((_status: unknown) => {})((status: { type: string }) => {",
    says: "a watch that was off the bus does not ask what it missed",
  },
  {
    name: "bus-loss-is-node-loss",
    file: controlPlane,
    find: "judgeNobody: () => presence.busLost(),",
    replace: "judgeNobody: () => {},",
    says: "a control plane without its bus takes all nodes for dead",
  },
  {
    name: "everybody-leads",
    file: "actors/control-plane/peers.ts",
    find: "  const leads = () => isReady() && bus.connected && isFirst();\n",
    replace: "  const leads = () => isReady() && bus.connected && (isFirst() || heard.size > 0);\n",
    says: "every control plane acts on losses",
  },
  {
    name: "unheard-heartbeats",
    file: presence,
    find: '        heard: { target: "alive", reenter: true },\n        doubted',
    replace: "        doubted",
    says: "a node that speaks is asked whether it is there",
  },
  {
    name: "lost-although-heard",
    file: presence,
    find: '      on: { heard: "back" },\n',
    replace: "",
    says: "a node that was lost stays so although it speaks again",
  },
  {
    name: "same-incarnation",
    file: "actors/control-plane/asked-starts.ts",
    find: "const next = nextIncarnation(view, instanceId);",
    replace: "const next = nextIncarnation(view, instanceId) - 1;",
    says: "a copy elsewhere has the incarnation of the one that it replaces",
  },
  {
    name: "fence-before-start",
    file: "actors/control-plane/fencing.ts",
    find: '  return status === "running" || (status !== "starting" && !loser.yields);\n',
    replace: '  return status !== "stopped" || !loser.yields;\n',
    says: "a copy that moves ends before the new one answers",
  },
  {
    name: "nobody-is-fenced",
    file: "actors/control-plane/fencing.ts",
    find: "    for (const [nodeId, copies] of losers) void fence(nodeId, copies);\n",
    replace: "",
    says: "a node that comes back keeps its old copies",
  },
  {
    name: "trusted-fenced-copy",
    file: "actors/provider/grants.ts",
    find: "      if (successor === undefined || successor.spec.incarnation <= incarnation) return;",
    replace: "      if (incarnation > 0 || successor === undefined) return;",
    says: "a provider serves a copy whose place another one has taken",
  },
  {
    name: "cell-not-told",
    file: "actors/node-agent/capability-commands.ts",
    find: '      if (actor.getSnapshot().matches("running"))',
    replace: '      if (actor.getSnapshot().matches("stopping"))',
    says: "a grant is revoked without telling the cell",
  },
  {
    name: "no-command-memory",
    file: "actors/node-agent/repeated-changes.ts",
    find: "      if (before !== undefined) return before;\n",
    replace: "",
    says: "a node does again what a repeated command asked for",
  },
  {
    name: "no-backoff-ceiling",
    file: "actors/restart-policy/backoff.ts",
    find: "(Math.min(maxDelayMs, delayMs * 2 ** (attempt - 1)) + 1)",
    replace: "(delayMs * 2 ** (attempt - 1) + 1)",
    says: "the delay of a backoff grows beyond its ceiling",
  },
  {
    name: "one-try-more",
    file: "actors/restart-policy/backoff.ts",
    find: "context.attempt >= context.maxRetries,",
    replace: "context.attempt > context.maxRetries,",
    says: "an instance is restarted once more than its policy allows",
  },
  {
    name: "engine-loss-is-a-crash",
    file: instance,
    find: '    running: {\n      entry: ["rememberRun", "stateRunning", "forgetCause", "tellPolicyRunning"],\n      on: {\n        "engine.crashed": { target: "deciding", actions: "rememberCrash" },\n        "engine.lost": {\n          target: "starting",',
    replace:
      '    running: {\n      entry: ["rememberRun", "stateRunning", "forgetCause", "tellPolicyRunning"],\n      on: {\n        "engine.crashed": { target: "deciding", actions: "rememberCrash" },\n        "engine.lost": {\n          target: "deciding",',
    says: "the end of an engine counts as a crash of its guests",
  },
  {
    name: "stop-is-a-crash",
    file: instance,
    find: 'onDone: "stopped", onError: "stopped" },\n      // A second',
    replace: 'onDone: "deciding", onError: "stopped" },\n      // A second',
    says: "a stop counts as a crash, and the policy restarts",
  },
  {
    name: "stopped-copies-live-on",
    file: "actors/control-plane/fencing.ts",
    find: "    endCopiesOfStopped(desk, instanceIds);\n",
    replace: "",
    says: "what was stopped lives on where its node was out of reach",
  },
];

/** The mutant of that name. */
export function mutantOf(name: string): Mutant {
  const mutant = mutants.find((one) => one.name === name);
  if (mutant !== undefined) return mutant;
  throw new Error(`there is no mutant ${name}; there are: ${mutants.map((one) => one.name).join(", ")}`);
}
