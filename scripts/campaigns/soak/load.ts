import { readFileSync } from "node:fs";
import { type Chance, seededChance } from "../../../src/chance.ts";
import type { Client } from "../../../src/client/client.ts";
import { Failure } from "../../../src/protocol/errors.ts";
import { buildExamples } from "../../build-examples.ts";
import type { SoakCluster } from "./cluster.ts";
import { soakLimits } from "./limits.ts";

/** How often what was done, and how often it failed otherwise than it was meant to. */
export interface Doings {
  readonly done: Map<string, number>;
  readonly failed: Map<string, number>;
  /** Of each kind of failure, what the first one said. */
  readonly said: Map<string, string>;
}

/** A load under way. */
export interface Load {
  readonly doings: Doings;
  /** Ends it, and stops every instance; resolves when nothing runs any more. */
  end(): Promise<void>;
}

type Guests = Readonly<Record<"echo" | "counter" | "crasher" | "web", string>>;

interface World {
  readonly client: Client;
  readonly cluster: SoakCluster;
  readonly guests: Guests;
  readonly doings: Doings;
  readonly chance: Chance;
  goesOn: boolean;
}

const store = { capabilityId: "store", providerType: "kv", permissions: ["kv:read", "kv:write"] };
const traps = ["trap", "overflow", "grow", "spin"] as const;
const text = (word: string) => new TextEncoder().encode(word);

/** Starts what runs all along, and sends until it is ended. Without `restarts` no control plane is. */
export async function beginLoad(
  cluster: SoakCluster,
  { seed, restarts }: { seed: number; restarts: boolean },
): Promise<Load> {
  const { client } = cluster;
  const doings: Doings = { done: new Map(), failed: new Map(), said: new Map() };
  const guests = await storeGuests(client);
  const world: World = { client, cluster, guests, doings, chance: seededChance(seed), goesOn: true };
  const often = { type: "backoff" as const, delayMs: 10, maxDelayMs: 50, maxRetries: 1_000_000 };
  await client.start({ module: { digest: guests.echo }, name: "echo", count: 20 });
  await client.start({
    module: { digest: guests.counter },
    name: "counter",
    count: 4,
    capabilities: [store],
  });
  await client.start({
    module: { digest: guests.crasher },
    name: "crasher",
    count: 3,
    restartPolicy: often,
    limits: { fuel: 2_000_000, memoryBytes: 4 * 1024 * 1024 },
  });
  const route = { capabilityId: "web", providerType: "http-server", permissions: ["http-server:serve"] };
  await client.start({
    module: { digest: guests.web },
    name: "web",
    count: 2,
    capabilities: [{ ...route, config: { path: "/" } }],
  });
  const { callPauseMs, trapPauseMs, requestPauseMs, churnPauseMs, updatePauseMs, planeRestartPauseMs } =
    soakLimits;
  const turns = [
    repeat(world, "call", callPauseMs, () => call(world, "echo", "go")),
    repeat(world, "call", callPauseMs, () => call(world, "echo", "go", 20_000)),
    repeat(world, "kv call", callPauseMs, () => call(world, "counter", "increment")),
    repeat(world, "crash", trapPauseMs, () => crash(world)),
    repeat(world, "http request", requestPauseMs, () => request(world)),
    repeat(world, "life of an instance", churnPauseMs, (turn) => live(world, turn)),
    repeat(world, "scaling", 2 * churnPauseMs, (turn) => client.scale("echo", 18 + (turn % 5))),
    repeat(world, "provider update", updatePauseMs, () =>
      client.updateProvider({ provider: "kv", config: {} }),
    ),
    repeat(world, "query", 10 * callPauseMs, () => client.providers()),
    ...(restarts
      ? [repeat(world, "control plane restart", planeRestartPauseMs, () => cluster.restartPlane())]
      : []),
  ];
  return {
    doings,
    async end() {
      world.goesOn = false;
      await Promise.all(turns);
      await stopAll(client);
    },
  };
}

/** Ends everything that runs. */
async function stopAll(client: Client): Promise<void> {
  for (let tries = 0; tries < 20; tries += 1) {
    const left: string[] = [];
    for await (const { instanceId } of client.list({})) left.push(instanceId);
    if (left.length === 0) return;
    await Promise.all(left.map((instanceId) => client.stop({ instanceId }).catch(() => undefined)));
  }
  throw new Error("instances run that were stopped twenty times");
}

async function repeat(
  world: World,
  what: string,
  pauseMs: number,
  act: (turn: number) => Promise<unknown>,
): Promise<void> {
  const { doings, chance } = world;
  for (let turn = 0; world.goesOn; turn += 1) {
    try {
      await act(turn);
      count(doings.done, what);
    } catch (error) {
      const code = error instanceof Failure ? error.code : `not a Failure: ${String(error)}`;
      const failure = `${what}: ${code}`;
      count(doings.failed, failure);
      if (!doings.said.has(failure)) doings.said.set(failure, String(error));
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs * (0.5 + chance())));
  }
}

function count(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}

async function call({ client }: World, target: string, operation: string, bytes = 1): Promise<void> {
  const payload = operation === "increment" ? text("1") : new Uint8Array(bytes).fill(0x61);
  const answer = await client.call(target, operation, payload, { timeoutMs: soakLimits.callTimeoutMs });
  if (operation === "go" && answer.length !== bytes)
    throw new Error(`${answer.length} of ${bytes} bytes came back`);
}

/** A crash is what it is meant to be; that its turn came while the guest is not back yet is as good. */
async function crash({ client, chance }: World): Promise<void> {
  const how = traps[Math.floor(chance() * traps.length)] ?? "trap";
  try {
    await client.call("crasher", how, text(""), { timeoutMs: soakLimits.callTimeoutMs });
  } catch (error) {
    const isMeant =
      error instanceof Failure && ["GUEST_TRAPPED", "INSTANCE_UNAVAILABLE"].includes(error.code);
    if (isMeant) return;
    throw error;
  }
  if (how !== "grow") throw new Error(`${how} came back`);
}

async function request({ cluster, chance }: World): Promise<void> {
  const body = chance() < 0.1 ? "x".repeat(200_000) : "hello";
  const answer = await fetch(
    `${cluster.httpUrl}/${chance() < 0.5 ? "hello" : "echo"}`,
    body === "hello" ? {} : { method: "POST", body },
  );
  await answer.arrayBuffer();
  if (answer.status >= 500) throw new Error(`the http-server answered ${answer.status}`);
}

async function live({ client, guests }: World, turn: number): Promise<void> {
  const instanceId = `life-${turn}`;
  await client.start({ module: { digest: guests.counter }, instanceId, config: { counter: "shared" } });
  const calling = () => client.call(instanceId, "get", text(""), { timeoutMs: soakLimits.callTimeoutMs });
  await calling().catch(() => undefined);
  await client.assign({ instanceId }, store);
  await calling();
  await client.revoke({ instanceId }, "store");
  const refused = await calling().then(
    () => false,
    () => true,
  );
  await client.stop({ instanceId });
  if (!refused) throw new Error("a guest used what was revoked");
}

async function storeGuests(client: Client): Promise<Guests> {
  const built = await buildExamples(["echo", "counter", "crasher", "web"]);
  const put = async (path: string) => (await client.putModule(new Uint8Array(readFileSync(path)))).digest;
  return {
    echo: await put(built.echo.path),
    counter: await put(built.counter.path),
    crasher: await put(built.crasher.path),
    web: await put(built.web.path),
  };
}
