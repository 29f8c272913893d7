import type { QuestionOf } from "../bus/ask.ts";
import type { Bus } from "../bus/bus.ts";
import { watchLostCalls } from "../bus/lost-calls.ts";
import { type BusOptions, connectNats } from "../bus/nats-bus.ts";
import { type Clock, systemClock } from "../clock.ts";
import { clientLimits } from "../limits.ts";
import { filterFor } from "../protocol/addresses.ts";
import type { LogLine } from "../protocol/calls.ts";
import type { ListedAssignment, NodeSummary, ProviderSummary } from "../protocol/commands.ts";
import type { Fact, FactKind } from "../protocol/facts.ts";
import { assertId } from "../protocol/ids.ts";
import type { InstanceSummary } from "../protocol/instance-spec.ts";
import { type CallOptions, callGuest } from "./call.ts";
import { type AskControl, askControl, type ControlAnswer } from "./control.ts";
import { type Feed, openFeed } from "./feed.ts";
import { digestOf, type ModuleStored, fitsCommand, putModule, type UploadProgress } from "./put-module.ts";
import { factOf, instanceIdOf, logLineOf } from "./read-feed.ts";

/** Where the bus is, and which lattice on it. */
export interface ConnectOptions extends Pick<BusOptions, "servers" | "credsFile" | "inboxPrefix" | "tls"> {
  readonly lattice: string;
  /** What the server shows for this connection. */
  readonly name?: string;
  readonly connectTimeoutMs?: number;
  /** Whether to go on trying until that deadline instead of failing with the first refused connection. */
  readonly wait?: boolean;
}

/** One instance by id, or all that share a name. */
export type Target = { readonly instanceId: string } | { readonly name: string };

/** Which instances to list; those that ended only with `all`. */
export type InstanceFilter = Omit<QuestionOf<"ctl.instance.list">, "limit" | "after">;

/** Which facts to follow; everything without them. */
export interface FactFilter {
  readonly instanceId?: string;
  readonly kinds?: readonly FactKind[];
}

/**
 * A lattice, as its operators use it. Everything rejects with a `Failure`: the one that was answered,
 * COMMUNICATION_FAILURE when no control plane listens or the bus is lost, TIMEOUT.
 */
export interface Client {
  readonly lattice: string;
  readonly bus: Bus;
  /** Starts instances; a module too large for one message is uploaded first. */
  start(request: QuestionOf<"ctl.instance.start">, onProgress?: UploadProgress): Promise<InstanceSummary[]>;
  /** Where that start would put its copies, and why; nothing is started or stored. */
  plan(request: QuestionOf<"ctl.instance.start">): Promise<ControlAnswer<"ctl.instance.start">>;
  stop(target: Target): Promise<InstanceSummary[]>;
  restart(target: Target): Promise<InstanceSummary[]>;
  query(instanceId: string): Promise<ControlAnswer<"ctl.instance.query">>;
  /** Page by page, as they are read. */
  list(filter?: InstanceFilter): AsyncGenerator<InstanceSummary, void>;
  /** Resolves with the ids whose next call is under the new grant. */
  assign(target: Target, assignment: QuestionOf<"ctl.capability.assign">["assignment"]): Promise<string[]>;
  revoke(target: Target, capabilityId: string): Promise<string[]>;
  assignments(target?: Target): AsyncGenerator<ListedAssignment, void>;
  /** What living instances used of their grants and were refused, and the fewest permissions that would do. */
  audit(target: Target): Promise<ControlAnswer<"ctl.capability.audit">>;
  /** Moves an instance, to that node or to the one that suits it best; resolves once its new copy answers. */
  relocate(instanceId: string, nodeId?: string): Promise<InstanceSummary[]>;
  /** Starts or stops copies until the name has `count`; resolves with those that there are. */
  scale(name: string, count: number): Promise<InstanceSummary[]>;
  /** Moves away what a node runs; it takes nothing new until it is resumed. */
  drain(nodeId: string, timeoutMs?: number): Promise<ControlAnswer<"ctl.node.drain">>;
  resume(nodeId: string): Promise<NodeSummary>;
  /** Sets labels, and takes away those that are null. */
  label(nodeId: string, labels: Readonly<Record<string, string | null>>): Promise<NodeSummary>;
  nodes(): Promise<ControlAnswer<"ctl.node.list">>;
  providers(): Promise<ControlAnswer<"ctl.provider.list">>;
  /** Resolves once it serves; rejects with the reason why it cannot. */
  startProvider(request: QuestionOf<"ctl.provider.start">): Promise<ProviderSummary[]>;
  stopProvider(request: QuestionOf<"ctl.provider.stop">): Promise<ProviderSummary[]>;
  /** Resolves once the new one serves; rejects with the reason why it cannot, and then the old one still does. */
  updateProvider(request: QuestionOf<"ctl.provider.update">): Promise<ProviderSummary[]>;
  modules(): Promise<ControlAnswer<"ctl.module.list">>;
  /** The latest facts that a control plane remembers, oldest first. */
  latestFacts(filter?: QuestionOf<"ctl.fact.list">): Promise<Fact[]>;
  putModule(bytes: Uint8Array<ArrayBuffer>, onProgress?: UploadProgress): Promise<ModuleStored>;
  /** Calls by instance id or name; see `callGuest`. */
  call(target: string, operation: string, payload?: Uint8Array, options?: CallOptions): Promise<Uint8Array>;
  /** Every fact from now on. */
  facts(filter?: FactFilter): Feed<Fact>;
  /** What guests write from now on; of all, or of one id or name. */
  logs(target?: string): Feed<LogLine>;
  close(): Promise<void>;
}

/**
 * Connects to a lattice. Rejects with COMMUNICATION_FAILURE when no server is reached, INVALID_REQUEST for a lattice
 * that has no legal name.
 *
 * ```ts
 * const lattice = await connect({ servers: "nats://127.0.0.1:4222", lattice: "default" });
 * await lattice.start({ module: { bytes: await readFile("echo.wasm") }, name: "echo" });
 * const answer = await lattice.call("echo", "say", new TextEncoder().encode("hello"));
 * for await (const fact of lattice.facts({ kinds: ["instance.crashed"] })) report(fact);
 * await lattice.close();
 * ```
 */
export async function connect({
  lattice,
  name = "wasmatrix-client",
  wait = false,
  connectTimeoutMs = clientLimits.connectTimeoutMs,
  ...connection
}: ConnectOptions): Promise<Client> {
  assertId(lattice, "lattice");
  const bus = await connectNats({
    ...connection,
    name,
    waitOnFirstConnect: wait,
    connectTimeoutMs,
  });
  return clientOn(bus, lattice);
}

/** A client on a bus that is connected already, and that its `close` closes. */
export function clientOn(bus: Bus, lattice: string, clock: Clock = systemClock): Client {
  watchLostCalls({ lattice, bus, clock });
  const ask = askControl(bus, lattice);
  return {
    lattice,
    bus,
    start: (request, onProgress) => start(bus, ask, request, onProgress),
    plan: (request) => plan(bus, ask, request),
    stop: async (target) => (await ask("ctl.instance.stop", target)).instances,
    restart: async (target) => (await ask("ctl.instance.restart", target)).instances,
    relocate: async (instanceId, nodeId) =>
      (await ask("ctl.instance.relocate", { instanceId, ...(nodeId === undefined ? {} : { nodeId }) }))
        .instances,
    scale: async (name, count) => (await ask("ctl.instance.scale", { name, count })).instances,
    drain: (nodeId, timeoutMs) =>
      ask("ctl.node.drain", { nodeId, ...(timeoutMs === undefined ? {} : { timeoutMs }) }),
    resume: async (nodeId) => (await ask("ctl.node.resume", { nodeId })).node,
    label: async (nodeId, labels) => (await ask("ctl.node.label", { nodeId, labels })).node,
    query: (instanceId) => ask("ctl.instance.query", { instanceId }),
    list: (filter = {}) =>
      pages(async (after) => {
        const { instances, next } = await ask("ctl.instance.list", { ...filter, ...after });
        return { items: instances, next };
      }),
    assign: async (target, assignment) =>
      (await ask("ctl.capability.assign", { ...target, assignment })).instances,
    revoke: async (target, capabilityId) =>
      (await ask("ctl.capability.revoke", { ...target, capabilityId })).instances,
    assignments: (target) =>
      pages(async (after) => {
        const answer = await ask("ctl.capability.list", { ...target, ...after });
        return { items: answer.assignments, next: answer.next };
      }),
    audit: (target) => ask("ctl.capability.audit", target),
    nodes: () => ask("ctl.node.list", {}),
    providers: () => ask("ctl.provider.list", {}),
    startProvider: async (request) => (await ask("ctl.provider.start", request)).providers,
    stopProvider: async (request) => (await ask("ctl.provider.stop", request)).providers,
    updateProvider: async (request) => (await ask("ctl.provider.update", request)).providers,
    modules: () => ask("ctl.module.list", {}),
    latestFacts: async (filter = {}) => (await ask("ctl.fact.list", filter)).facts,
    putModule: (bytes, onProgress) => putModule(bus, ask, bytes, onProgress),
    call: (target, operation, payload = new Uint8Array(), options = {}) =>
      callGuest(bus, ask, { lattice, target, operation }, payload, options),
    facts: ({ instanceId, kinds } = {}) =>
      openFeed(bus, filterFor("fact", { lattice }), (message) => {
        const fact = factOf(message);
        if (fact === undefined || (kinds !== undefined && !kinds.includes(fact.kind))) return undefined;
        return instanceId === undefined || instanceIdOf(fact) === instanceId ? fact : undefined;
      }),
    // A name does not stand in the subject, so all lines come; cells bound them per second.
    logs: (target) =>
      openFeed(bus, filterFor("log", { lattice }), (message) => {
        const line = logLineOf(message);
        const isWanted = target === undefined || line?.instanceId === target || line?.name === target;
        return isWanted ? line : undefined;
      }),
    close: () => bus.close(),
  };
}

async function start(
  bus: Bus,
  ask: AskControl,
  request: QuestionOf<"ctl.instance.start">,
  onProgress?: UploadProgress,
): Promise<InstanceSummary[]> {
  const { module } = request;
  if ("bytes" in module && module.bytes instanceof Uint8Array && !fitsCommand(bus, module.bytes)) {
    const { digest } = await putModule(bus, ask, module.bytes as Uint8Array<ArrayBuffer>, onProgress);
    return (await ask("ctl.instance.start", { ...request, module: { digest } })).instances;
  }
  return (await ask("ctl.instance.start", request)).instances;
}

/** A module too large for one message is named by its digest alone: a plan needs no bytes. */
function plan(bus: Bus, ask: AskControl, request: QuestionOf<"ctl.instance.start">) {
  const { module } = request;
  const isLarge = "bytes" in module && module.bytes instanceof Uint8Array && !fitsCommand(bus, module.bytes);
  const named = isLarge ? { module: { digest: digestOf(module.bytes as Uint8Array) } } : {};
  return ask("ctl.instance.start", { ...request, ...named, dryRun: true });
}

interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | undefined;
}

async function* pages<Item>(
  read: (after: { after?: string }) => Promise<Page<Item>>,
): AsyncGenerator<Item, void> {
  let after: string | undefined;
  do {
    const page = await read(after === undefined ? {} : { after });
    yield* page.items;
    after = page.next;
  } while (after !== undefined);
}
