import type { AnswerOf, RequestOf } from "../../src/bus/serve.ts";
import type { NodeView } from "../../src/lattice/view.ts";
import { controlPlaneLimits } from "../../src/limits.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { askNode } from "./ask-node.ts";
import type { Desk } from "./desk.ts";
import { handOver } from "./hand-over.ts";
import { summarizeNode } from "./summaries.ts";

/** Moves away what a node runs. What cannot be moved stays, and is named with the reason. */
export async function drainNode(
  desk: Desk,
  { nodeId, timeoutMs = controlPlaneLimits.drainNodeMs }: RequestOf<"ctl.node.drain">,
): Promise<AnswerOf<"ctl.node.drain">> {
  const untilMs = desk.clock.now() + timeoutMs;
  knownNode(desk, nodeId);
  await askNode(desk, nodeId, "node.node.drain", { draining: true }, controlPlaneLimits.nodeGrantMs);
  return moveAway(desk, nodeId, untilMs);
}

/** The same for a node that asks for it because it is about to end; it takes nothing new already. */
export function leaveNode(
  desk: Desk,
  { timeoutMs }: RequestOf<"leave">,
  nodeId: string,
): Promise<AnswerOf<"leave">> {
  return moveAway(desk, nodeId, desk.clock.now() + timeoutMs);
}

/** Lets a drained node take work again. */
export async function resumeNode(
  desk: Desk,
  { nodeId }: RequestOf<"ctl.node.resume">,
): Promise<AnswerOf<"ctl.node.resume">> {
  const node = knownNode(desk, nodeId);
  await askNode(desk, nodeId, "node.node.drain", { draining: false }, controlPlaneLimits.nodeGrantMs);
  return { node: { ...summarizeNode(desk, node), status: "alive" } };
}

/** Sets and removes labels of a node. Its own words about its machine cannot be changed. */
export async function labelNode(
  desk: Desk,
  { nodeId, labels }: RequestOf<"ctl.node.label">,
): Promise<AnswerOf<"ctl.node.label">> {
  const node = knownNode(desk, nodeId);
  const own = Object.keys(labels).filter((label) => label.startsWith("wasmatrix."));
  if (own.length > 0)
    throw new Failure(
      "INVALID_REQUEST",
      `labels that begin with wasmatrix. are the node's own: ${own.join(", ")}`,
      {
        fix: "Choose other names.",
        details: { fields: own.map((label) => `labels.${label}`) },
      },
    );
  await askNode(desk, nodeId, "node.node.label", { labels }, controlPlaneLimits.nodeGrantMs);
  const summary = summarizeNode(desk, node);
  return { node: { ...summary, labels: changed(summary.labels, labels) } };
}

/** Labels with some set and those that are null taken away. */
export function changed(
  labels: Readonly<Record<string, string>>,
  changes: Readonly<Record<string, string | null>>,
): Record<string, string> {
  const all = new Map(Object.entries(labels));
  for (const [label, value] of Object.entries(changes)) {
    if (value === null) all.delete(label);
    else all.set(label, value);
  }
  return Object.fromEntries(all);
}

async function moveAway(desk: Desk, nodeId: string, untilMs: number): Promise<AnswerOf<"ctl.node.drain">> {
  const node = desk.view.nodes.get(nodeId);
  const running = [...(node?.instances.values() ?? [])].filter(
    ({ status }) => status === "running" || status === "starting" || status === "backing-off",
  );
  const { moved, left } = await handOver(desk, running, { untilMs });
  return {
    nodeId,
    moved: moved.map(({ instanceId }) => instanceId).toSorted(),
    left: left.toSorted((one, other) => (one.instanceId < other.instanceId ? -1 : 1)),
  };
}

function knownNode(desk: Desk, nodeId: string): NodeView {
  const node = desk.view.nodes.get(nodeId);
  if (node !== undefined) return node;
  const known = [...desk.view.nodes.keys()].toSorted().slice(0, controlPlaneLimits.suggestionsMax);
  throw new Failure("NODE_NOT_FOUND", `no node ${nodeId} is known`, {
    fix:
      known.length === 0
        ? "Start one with `wasmatrix node`."
        : `There are: ${known.join(", ")}; \`wasmatrix nodes\` lists them all.`,
    details: { nodeId },
  });
}
