import { readFileSync } from "node:fs";
import type { Bus } from "../../../src/bus/bus.ts";
import { connectNats } from "../../../src/bus/nats-bus.ts";
import { seededChance } from "../../../src/chance.ts";
import { type Client, clientOn } from "../../../src/client/client.ts";
import { delay, systemClock } from "../../../src/clock.ts";
import { clientLimits } from "../../../src/limits.ts";
import { buildExamples } from "../../build-examples.ts";
import { overdueCommands, violations, type WasSplit, wrongAnswers } from "./check.ts";
import type { Cluster } from "./cluster.ts";
import { drawFaults, type Fault } from "./faults.ts";
import { keepHistory } from "./history.ts";
import type { Ledger } from "./ledger.ts";
import { chaosLimits } from "./limits.ts";
import { beginLoad, type Guests } from "./load.ts";
import { type Struck, strike } from "./strike.ts";
import { type Buses, tellTruth } from "./truth.ts";
import { type Loss, watchLosses } from "./watch-losses.ts";

/** What came of one round. */
export interface RoundResult {
  readonly seed: number;
  readonly faults: readonly Fault[];
  readonly ledger: Ledger;
  readonly losses: readonly Loss[];
  /** From the end of the last fault, every part running again, until everything was as it must be. */
  readonly recoveryMs: number;
  /** Nothing where the round was clean. */
  readonly wrong: readonly string[];
  /** When which fault struck, and what was said of the instances that `wrong` names. */
  readonly history: readonly string[];
}

/**
 * One round: a load, faults drawn from the seed, everything healed, and then the question whether everything is as
 * it was acknowledged. `faults` replaces the drawn ones.
 */
export async function playRound(
  cluster: Cluster,
  { seed, turn, faults = drawn(cluster, seed) }: { seed: number; turn: number; faults?: readonly Fault[] },
): Promise<RoundResult> {
  await using stack = new AsyncDisposableStack();
  const buses = new Map<string, Bus>();
  for (const { id, url } of cluster.servers) buses.set(id, await connected(url, cluster, stack));
  const client = clientOn(await connected(cluster.url, cluster, stack), cluster.lattice);
  const tag = `r${turn}`;
  const guests = await storeGuests(client);
  const load = await beginLoad(client, guests, { seed, tag });
  const history = keepHistory(clientOn(buses.values().next().value as Bus, cluster.lattice));
  const watch = watchLosses(cluster.lattice, buses, (name) => name.endsWith("-stays"));
  const struck: Struck[] = [];
  try {
    await strike(cluster, faults, (one) => struck.push(one));
  } finally {
    await load.end();
  }
  const { ledger } = load;
  const wasSplit: WasSplit = (from, until) =>
    struck.some(
      ({ fault, beganAt, endedAt }) =>
        fault.kind === "split" &&
        from < endedAt + chaosLimits.routesBackMs &&
        until > beganAt - chaosLimits.spreadMs,
    );
  const healedAt = Math.max(Date.now(), ...struck.map(({ endedAt }) => endedAt));
  // Connections of before may still be on their way back to their servers.
  const observer = await connected(cluster.url, cluster, stack, "observer");
  const fresh = new Map<string, Bus>();
  for (const { id, url } of cluster.servers) fresh.set(id, await connected(url, cluster, stack));
  const wrong = [
    ...(await untilRight(cluster, fresh, observer, client, ledger, wasSplit)),
    ...overdueCommands(ledger),
  ];
  const recoveryMs = Date.now() - healedAt;
  await watch.stop();
  await history.stop();
  await clearAway(client);
  return {
    seed,
    faults,
    ledger,
    losses: watch.lossesOf(struck),
    recoveryMs,
    wrong,
    history: [...struck.map(struckText), ...history.of(wrong, ledger)].toSorted(),
  };
}

function struckText({ fault, beganAt, endedAt }: Struck): string {
  return `${new Date(beganAt).toISOString()} ${fault.kind} ${fault.targets.join(",")} until ${new Date(endedAt).toISOString()}`;
}

function drawn(cluster: Cluster, seed: number): Fault[] {
  const of = (kind: Parameters<Cluster["of"]>[0]) => cluster.of(kind).map(({ id }) => id);
  const ids = { server: of("server"), plane: of("plane"), node: of("node"), provider: of("provider") };
  return drawFaults(seededChance(seed), ids, cluster.hosts.network === "namespaces");
}

async function untilRight(
  cluster: Cluster,
  buses: Buses,
  observer: Bus,
  client: Client,
  ledger: Ledger,
  wasSplit: WasSplit,
): Promise<string[]> {
  const look = async () => {
    try {
      const wrong = violations(ledger, await tellTruth(cluster, buses, observer), wasSplit);
      return wrong.length > 0 ? wrong : await wrongAnswers(ledger, client, wasSplit);
    } catch (error) {
      return [`somebody could not be asked: ${String(error)}`];
    }
  };
  const until = Date.now() + chaosLimits.recoveryMs;
  let wrong = await look();
  while (wrong.length > 0 && Date.now() < until) {
    await delay(systemClock, chaosLimits.lookEveryMs);
    wrong = await look();
  }
  if (wrong.length > 0) return wrong;
  await delay(systemClock, chaosLimits.stillMs);
  return (await look()).map((one) => `after it was right once: ${one}`);
}

async function storeGuests(client: Client): Promise<Guests> {
  const { echo, counter } = await buildExamples(["echo", "counter"]);
  const put = async (path: string) => (await client.putModule(new Uint8Array(readFileSync(path)))).digest;
  return { echo: await put(echo.path), counter: await put(counter.path) };
}

/** The next round begins with nothing that runs. */
async function clearAway(client: Client): Promise<void> {
  const left: string[] = [];
  for await (const { instanceId } of client.list({})) left.push(instanceId);
  await Promise.all(left.map((instanceId) => client.stop({ instanceId }).catch(() => undefined)));
}

async function connected(
  servers: string,
  { creds }: Cluster,
  stack: AsyncDisposableStack,
  role: "operator" | "observer" = "operator",
) {
  const connectTimeoutMs = clientLimits.connectTimeoutMs * 3;
  const bus = await connectNats({
    servers: servers.split(","),
    name: "chaos",
    waitOnFirstConnect: true,
    connectTimeoutMs,
    ...(creds === undefined ? {} : { credsFile: creds[role] }),
  });
  stack.defer(() => bus.close().catch(() => undefined));
  return bus;
}
