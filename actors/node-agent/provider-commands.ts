import type { Subscription } from "../../src/bus/bus.ts";
import { type AnswerOf, type RequestOf, serve } from "../../src/bus/serve.ts";
import { providerSummary } from "../../src/lattice/provider-summary.ts";
import { Failure } from "../../src/protocol/errors.ts";
import type { HostedProvider, ProviderCatalog } from "../provider/provider-kind.ts";
import type { NodeWorld } from "./node-world.ts";
import type { HostedProviders } from "./provider-host.ts";
import { createTurns } from "./turns.ts";

type Done = AnswerOf<"node.provider.start">;

/** What the commands for providers of a node work on. */
export interface ProviderCommandsWorld extends Pick<
  NodeWorld,
  "lattice" | "nodeId" | "bus" | "clock" | "speaker"
> {
  readonly catalog: ProviderCatalog;
  readonly providers: HostedProviders;
  readonly isLeaving: () => boolean;
}

/** Serves `provider.start`, `provider.stop` and `provider.update` of a node. */
export function serveProviderCommands(world: ProviderCommandsWorld): Subscription[] {
  const { lattice, nodeId, bus, clock } = world;
  const here = { lattice, node: nodeId };
  const inTurn = createTurns();
  return [
    serve(bus, clock, "node.provider.start", here, (request) =>
      inTurn(request.provider, () => start(world, request)),
    ),
    serve(bus, clock, "node.provider.stop", here, (request) =>
      inTurn(request.provider, () => stop(world, request)),
    ),
    serve(bus, clock, "node.provider.update", here, (request) =>
      inTurn(request.provider, () => update(world, request)),
    ),
  ];
}

async function start(world: ProviderCommandsWorld, request: RequestOf<"node.provider.start">): Promise<Done> {
  const { catalog, providers, speaker, nodeId } = world;
  const { provider, commandId } = request;
  assertStays(world);
  if (providers.isPresent(provider)) {
    const view = speaker.own().providers.get(provider);
    const isRepeated = commandId !== undefined && providers.get(provider)?.commandId === commandId;
    if (isRepeated && view !== undefined) return { provider: providerSummary(view) };
    throw new Failure("INVALID_REQUEST", `node ${nodeId} has a provider ${provider} already`, {
      fix: "Choose another name, or replace that one with provider.update.",
      details: { fields: ["provider"] },
    });
  }
  const hosted = await catalog.resolve(request);
  return { provider: await providers.start(commandId === undefined ? hosted : { ...hosted, commandId }) };
}

async function stop(
  world: ProviderCommandsWorld,
  { provider }: RequestOf<"node.provider.stop">,
): Promise<Done> {
  knownHere(world, provider);
  return { provider: await world.providers.stop(provider, "it was told to") };
}

async function update(
  world: ProviderCommandsWorld,
  request: RequestOf<"node.provider.update">,
): Promise<Done> {
  const { catalog, providers, speaker, nodeId } = world;
  const { provider, commandId } = request;
  assertStays(world);
  const before = knownHere(world, provider);
  if (!providers.isPresent(provider) && speaker.own().providers.get(provider)?.status === "stopped")
    throw new Failure("PROVIDER_UNAVAILABLE", `provider ${provider} is stopped on node ${nodeId}`, {
      fix: "Start it with provider.start; a stopped one cannot be replaced.",
      retry: "never",
    });
  const kind = request.kind ?? before.kind;
  const backend = request.backend ?? (kind === before.kind ? before.backend : undefined);
  // The settings of one backend mean nothing to another.
  const keeps = kind === before.kind && backend === before.backend;
  const config = request.config ?? (keeps ? before.config : {});
  const next = await catalog.resolve({ provider, kind, backend, config });
  if (next.providerType !== before.providerType)
    throw new Failure(
      "INVALID_REQUEST",
      `provider ${provider} is of type ${before.providerType} and cannot become one of type ${next.providerType}`,
      { fix: "Start the other one under a name of its own.", details: { fields: ["kind"] } },
    );
  const keptId = before.commandId === undefined ? {} : { commandId: before.commandId };
  return { provider: await providers.update(provider, { ...next, ...keptId }, commandId) };
}

function knownHere({ providers, nodeId }: ProviderCommandsWorld, provider: string): HostedProvider {
  const hosted = providers.get(provider);
  if (hosted !== undefined) return hosted;
  throw new Failure("PROVIDER_NOT_FOUND", `node ${nodeId} has no provider ${provider}`, {
    fix: "`wasmatrix providers` lists the providers and where they are.",
  });
}

function assertStays({ isLeaving, nodeId }: ProviderCommandsWorld): void {
  if (isLeaving())
    throw new Failure("NODE_UNAVAILABLE", `node ${nodeId} is leaving`, { details: { safeToRepeat: true } });
}
