import type { AnswerOf, RequestOf } from "../../src/bus/serve.ts";
import { endedStatuses } from "../../src/lattice/provider-summary.ts";
import { providerLifeLimits } from "../../src/limits.ts";
import type { ProviderSummary } from "../../src/protocol/commands.ts";
import { asFailure, Failure } from "../../src/protocol/errors.ts";
import { askNode } from "./ask-node.ts";
import type { Desk } from "./desk.ts";
import { hostsFor, nodeNotFound } from "./provider-hosts.ts";
import { providersOf } from "./provider-warnings.ts";
import { summarizeProvider } from "./summaries.ts";

type Changed = AnswerOf<"ctl.provider.start">;

/** Runs a provider in a node; answers once it serves, or with the reason why it cannot, and then nothing was changed. */
export async function startProvider(desk: Desk, request: RequestOf<"ctl.provider.start">): Promise<Changed> {
  const { provider, kind, backend, config, commandId } = request;
  const before = startedBefore(desk, request);
  if (before !== undefined) return { providers: [before] };
  assertFree(desk, provider);
  const hosts = hostsFor(desk, request);
  desk.startingProviders.add(provider);
  try {
    const question = {
      provider,
      kind,
      config,
      ...(backend === undefined ? {} : { backend }),
      ...(commandId === undefined ? {} : { commandId }),
    };
    return { providers: [await startOnFirst(desk, hosts, question)] };
  } finally {
    desk.startingProviders.delete(provider);
  }
}

/** Ends a provider wherever it is, or on one node. */
export async function stopProvider(desk: Desk, request: RequestOf<"ctl.provider.stop">): Promise<Changed> {
  const { commandId } = request;
  const question = { provider: request.provider, ...(commandId === undefined ? {} : { commandId }) };
  const outcomes = await Promise.all(
    livingHosts(desk, request).map(({ nodeId }) =>
      askNode(desk, nodeId, "node.provider.stop", question, providerLifeLimits.nodeStopMs).then(
        (answer) => ({ nodeId, answer }),
        (error: unknown) => ({ nodeId, error }),
      ),
    ),
  );
  const done = outcomes.flatMap((one) => ("answer" in one ? [one.answer.provider] : []));
  for (const one of outcomes)
    if ("error" in one)
      throw inPart(one.error, { nodeId: one.nodeId, done: done.map(({ nodeId }) => nodeId) });
  return { providers: done };
}

/** Replaces a provider, on one host after the other, so that the others serve meanwhile; ends with the first refusal. */
export async function updateProvider(
  desk: Desk,
  { provider, nodeId: only, ...change }: RequestOf<"ctl.provider.update">,
): Promise<Changed> {
  const providers: ProviderSummary[] = [];
  const { kind, backend, config, commandId } = change;
  const question = {
    provider,
    ...(kind === undefined ? {} : { kind }),
    ...(backend === undefined ? {} : { backend }),
    ...(config === undefined ? {} : { config }),
    ...(commandId === undefined ? {} : { commandId }),
  };
  for (const { nodeId } of livingHosts(desk, { provider, nodeId: only })) {
    try {
      const answer = await askNode(
        desk,
        nodeId,
        "node.provider.update",
        question,
        providerLifeLimits.nodeStartMs,
      );
      providers.push(answer.provider);
    } catch (error) {
      throw inPart(error, { nodeId, done: providers.map((one) => one.nodeId) });
    }
  }
  return { providers };
}

/** The nodes in their order, until one does not refuse for reasons of its own. */
async function startOnFirst(
  desk: Desk,
  hosts: readonly string[],
  question: Omit<RequestOf<"node.provider.start">, "commandId" | "backend">,
): Promise<ProviderSummary> {
  let last: Failure | undefined;
  for (const nodeId of hosts) {
    try {
      const { nodeStartMs } = providerLifeLimits;
      return (await askNode(desk, nodeId, "node.provider.start", question, nodeStartMs)).provider;
    } catch (error) {
      const failure = asFailure(error);
      if (failure.details?.["safeToRepeat"] !== true) throw inPart(failure, { nodeId });
      last = failure;
    }
  }
  throw last ?? new Error("there was no node to ask");
}

/** What the same command started when another control plane, or an earlier life of this one, took it. */
function startedBefore(
  desk: Desk,
  { provider, kind, commandId }: RequestOf<"ctl.provider.start">,
): ProviderSummary | undefined {
  if (commandId === undefined) return undefined;
  const found = providersOf(desk).find(
    ({ info }) => info.provider === provider && info.kind === kind && info.commandId === commandId,
  );
  const summary = found === undefined ? undefined : summarizeProvider(desk, found);
  return summary !== undefined && !endedStatuses.has(summary.status) ? summary : undefined;
}

function assertFree(desk: Desk, provider: string): void {
  const [taken] = known(desk, provider).filter(
    ({ status }) => !endedStatuses.has(status) && status !== "unreachable",
  );
  if (taken === undefined && !desk.startingProviders.has(provider)) return;
  const where = taken === undefined ? "is being started" : `is ${taken.status} on node ${taken.nodeId}`;
  throw new Failure("INVALID_REQUEST", `the name ${provider} is in use: that provider ${where}`, {
    fix: "Choose another name, or replace that provider with provider.update.",
    details: { fields: ["provider"], ...(taken === undefined ? {} : { nodeId: taken.nodeId }) },
  });
}

/** Where a provider is that is to be changed. */
function livingHosts(
  desk: Desk,
  { provider, nodeId }: { provider: string; nodeId?: string | undefined },
): ProviderSummary[] {
  if (nodeId !== undefined && !desk.view.nodes.has(nodeId)) throw nodeNotFound(desk, nodeId);
  const here = known(desk, provider).filter((one) => nodeId === undefined || one.nodeId === nodeId);
  const living = here.filter(({ status }) => status !== "stopped" && status !== "unreachable");
  if (living.length > 0) return living;
  const [one] = here.toSorted((a, b) => (a.since < b.since ? 1 : -1));
  if (one !== undefined)
    throw new Failure("PROVIDER_UNAVAILABLE", `provider ${provider} is ${one.status} since ${one.since}`, {
      fix:
        one.status === "stopped"
          ? "`wasmatrix providers start` starts one."
          : `Node ${one.nodeId} is not heard of any more; \`wasmatrix nodes\` shows the nodes.`,
      retry: one.status === "stopped" ? "never" : "later",
      details: { nodeId: one.nodeId, status: one.status },
    });
  const names = [...new Set(providersOf(desk).map(({ info }) => info.provider))].toSorted();
  const { complete, gaps } = desk.viewStatus();
  const on = nodeId === undefined ? "" : ` on node ${nodeId}`;
  throw new Failure("PROVIDER_NOT_FOUND", `no provider ${provider} is known${on}`, {
    fix: names.length === 0 ? "There is none at all." : `There are: ${names.join(", ")}.`,
    retry: complete ? "never" : "later",
    details: { gaps },
  });
}

function known(desk: Desk, provider: string): ProviderSummary[] {
  return providersOf(desk)
    .filter(({ info }) => info.provider === provider)
    .map((one) => summarizeProvider(desk, one))
    .toSorted((one, other) => (one.nodeId < other.nodeId ? -1 : 1));
}

/** The same failure, with where it happened and what was done before it. */
function inPart(error: unknown, details: Record<string, unknown>): Failure {
  const failure = asFailure(error);
  const { code, message, fix, retry } = failure;
  return new Failure(code, message, {
    ...(fix === undefined ? {} : { fix }),
    retry,
    details: { ...failure.details, ...details },
    cause: failure,
  });
}
