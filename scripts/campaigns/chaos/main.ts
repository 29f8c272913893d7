import { randomInt } from "node:crypto";
import { writeFileSync } from "node:fs";
import { readCommandLine } from "../../command-line.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { figuresOf, type RoundFigures, roundText, summaryText } from "./report.ts";
import { playRound } from "./round.ts";

const usage =
  "usage: scripts/chaos --rounds <n> [--seed <n>] [--nodes <n>] [--open] [--json] [--logs <file>]";
const {
  given: { values },
  whole,
} = readCommandLine(usage, {
  options: {
    rounds: { type: "string", default: "1" },
    seed: { type: "string" },
    nodes: { type: "string", default: "5" },
    open: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    logs: { type: "string" },
  },
});
const rounds = whole(values.rounds, 1, 100_000);
const nodes = whole(values.nodes, 2, 50);
const seed = values.seed === undefined ? randomInt(1_000_000) : whole(values.seed, 0, 2 ** 32 - 1);
const say = (text: string) => void (values.json ? process.stderr : process.stdout).write(`${text}\n`);

const ending = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => ending.abort());
const all: RoundFigures[] = [];
let cluster: Cluster | undefined;
try {
  for (let turn = 0; turn < rounds && !ending.signal.aborted; turn += 1) {
    if (await play(turn)) continue;
    process.exitCode = 1;
    // What is wrong must not make the next round fail as well.
    await cluster?.[Symbol.asyncDispose]();
    cluster = undefined;
  }
} finally {
  await cluster?.[Symbol.asyncDispose]();
}
say(summaryText(all));

/** Whether the round was clean. */
async function play(turn: number): Promise<boolean> {
  const roundSeed = seed + turn;
  try {
    cluster ??= await begin();
    const result = await playRound(cluster, { seed: roundSeed, turn });
    const figures = figuresOf(result, nodes);
    all.push(figures);
    say(roundText(turn, figures));
    if (values.json) console.log(JSON.stringify(figures));
    if (!figures.clean && values.logs !== undefined) {
      const told = [...figures.wrong, "", ...result.history, "", logsOf(cluster)];
      writeFileSync(`${values.logs}-${roundSeed}`, told.join("\n"));
    }
    return figures.clean;
  } catch (error) {
    say(
      `round ${turn} seed ${roundSeed} could not be played: ${error instanceof Error ? error.stack : String(error)}`,
    );
    return false;
  }
}

async function begin(): Promise<Cluster> {
  const started = await startCluster({ nodes, isOpen: values.open });
  const { network } = started.hosts;
  if (network !== "namespaces")
    say(`no network faults: ${network.missing}. Processes are killed and frozen on the loopback device.`);
  return started;
}

function logsOf({ parts }: Cluster): string {
  return [...parts.values()].map((part) => `== ${part.id}\n${part.logTail(4_000)}\n`).join("");
}
