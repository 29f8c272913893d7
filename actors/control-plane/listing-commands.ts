import type { AnswerOf, RequestOf } from "../../src/bus/serve.ts";
import type { Fact } from "../../src/protocol/facts.ts";
import type { Desk } from "./desk.ts";
import { summarizeNode, summarizeProvider } from "./summaries.ts";

/** The nodes that were heard of, also those that are lost or left. */
export function listNodes(desk: Desk): AnswerOf<"ctl.node.list"> {
  const nodes = [...desk.view.nodes.values()].map((node) => summarizeNode(desk, node));
  return {
    nodes: nodes.toSorted((one, other) => (one.nodeId < other.nodeId ? -1 : 1)),
    view: desk.viewStatus(),
  };
}

/** The providers, one entry for each host of each. */
export function listProviders(desk: Desk): AnswerOf<"ctl.provider.list"> {
  const providers = [...desk.view.nodes.values()]
    .flatMap((node) => [...node.providers.values()])
    .map((provider) => summarizeProvider(desk, provider))
    .toSorted((one, other) =>
      `${one.provider} ${one.nodeId}` < `${other.provider} ${other.nodeId}` ? -1 : 1,
    );
  return { providers, view: desk.viewStatus() };
}

/** The latest facts that this control plane heard live, oldest first; heartbeats are not kept. */
export function listFacts(desk: Desk, request: RequestOf<"ctl.fact.list">): AnswerOf<"ctl.fact.list"> {
  const { limit, instanceId, nodeId, kind } = request;
  const facts = desk.facts.latest(
    limit,
    (fact) =>
      (instanceId === undefined || instanceOf(fact) === instanceId) &&
      (nodeId === undefined || fact.node === nodeId) &&
      (kind === undefined || fact.kind === kind),
  );
  return { facts };
}

function instanceOf(fact: Fact): string | undefined {
  if (fact.kind === "instance.starting") return fact.data.spec.instanceId;
  return "instanceId" in fact.data ? (fact.data.instanceId as string) : undefined;
}
