import type { RequestOf } from "../../src/bus/serve.ts";
import { allInstances, findInstance } from "../../src/lattice/view.ts";
import { controlPlaneLimits } from "../../src/limits.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { echo } from "../../src/protocol/ids.ts";
import type { Desk } from "./desk.ts";
import { nodeNotFound } from "./provider-hosts.ts";
import { holdersOf } from "./store-module.ts";
import { statusOf } from "./summaries.ts";

type Request = RequestOf<"ctl.instance.start">;

/** NODE_NOT_FOUND for a node that nobody knows, INVALID_REQUEST for a label to spread over that no node with guests has. */
export function assertPlaceable(desk: Desk, { nodeId, spread }: Pick<Request, "nodeId" | "spread">): void {
  if (nodeId !== undefined && !desk.view.nodes.has(nodeId)) throw nodeNotFound(desk, nodeId);
  if (spread === undefined) return;
  const nodes = [...desk.view.nodes.values()].flatMap(({ joined }) =>
    joined === undefined || joined.guestKinds.length === 0 ? [] : [joined],
  );
  if (nodes.length === 0 || nodes.some(({ labels }) => Object.hasOwn(labels, spread))) return;
  const labels = [...new Set(nodes.flatMap((node) => Object.keys(node.labels)))].toSorted();
  const some = labels.slice(0, controlPlaneLimits.failuresListedMax).join(", ");
  throw new Failure("INVALID_REQUEST", `no node has the label ${echo(spread)} to spread copies over`, {
    fix: `Label nodes with \`wasmatrix label\`, or spread over one that there is: ${some}.`,
    details: { fields: ["spread"] },
  });
}

/** What the one who pins should know: what was asked for the loss of the node is not what will be done. */
export function pinWarning({
  nodeId,
  onNodeLoss,
}: Pick<Request, "nodeId" | "onNodeLoss">): string | undefined {
  if (nodeId === undefined || onNodeLoss !== "relocate") return undefined;
  return `what is pinned to node ${nodeId} is not relocated when that is lost; it stays, and is started again there`;
}

/** Several warnings as one sentence, as a field of an answer. */
export function joined(warnings: readonly (string | undefined)[]): { warning?: string } {
  const said = warnings.filter((warning) => warning !== undefined);
  return said.length === 0 ? {} : { warning: said.join("; ") };
}

/** INSTANCE_EXISTS for an id that lives or is being started, INVALID_REQUEST for a word that would mean two things. */
export function assertFree(desk: Desk, ids: readonly string[], name: string | undefined): void {
  for (const id of ids) {
    const known = findInstance(desk.view, id);
    if (desk.reserved.has(id) || (known !== undefined && known.status !== "stopped"))
      throw new Failure(
        "INSTANCE_EXISTS",
        `instance ${id} exists already${known === undefined ? ", it is being started" : `: it is ${statusOf(desk, known)} on node ${known.nodeId}`}`,
        {
          fix: "Choose another instanceId or leave it out; `wasmatrix stop` ends the one there is.",
          details: {
            instanceId: id,
            ...(known === undefined ? {} : { nodeId: known.nodeId, status: statusOf(desk, known) }),
          },
        },
      );
  }
  // Calls are addressed by id or by name in the same place of the subject: one word must not mean two things.
  const clash =
    ids.length > 1 && name !== undefined && ids.includes(name) ? name : nameAmong(desk, new Set(ids));
  if (clash !== undefined)
    throw ambiguous(`instanceId ${clash} is the name of other instances`, "instanceId");
  if (name !== undefined && !ids.includes(name) && (desk.reserved.has(name) || lives(desk, name)))
    throw ambiguous(`name ${name} is the id of another instance`, "name");
}

/** Which of those ids is the name of something that lives or is being started. One pass, for each start makes it. */
function nameAmong(desk: Desk, ids: ReadonlySet<string>): string | undefined {
  for (const name of desk.reserved.values()) if (name !== undefined && ids.has(name)) return name;
  for (const { status, spec } of allInstances(desk.view)) {
    const isMeant = spec.name !== undefined && status !== "stopped" && ids.has(spec.name);
    if (isMeant && lives(desk, spec.instanceId)) return spec.name;
  }
  return undefined;
}

function lives(desk: Desk, instanceId: string): boolean {
  const known = findInstance(desk.view, instanceId);
  return known !== undefined && known.status !== "stopped";
}

function ambiguous(message: string, field: string): Failure {
  return new Failure("INVALID_REQUEST", `${message}: a call to it could mean either`, {
    fix: "Choose another one; `wasmatrix ps` shows the ids and names in use.",
    details: { fields: [field] },
  });
}

/** MODULE_NOT_FOUND unless a node in reach holds it. */
export function assertHeld(desk: Desk, digest: string): void {
  if (holdersOf(desk, digest).length > 0) return;
  const { complete, gaps } = desk.viewStatus();
  throw new Failure("MODULE_NOT_FOUND", `no node in reach holds module ${digest}`, {
    fix: `Store it first with module.put, or start from the file: \`wasmatrix start <file.wasm>\`.${complete ? "" : " The view of the lattice is not complete yet; ask again in a moment."}`,
    details: { digest, gaps },
    retry: complete ? "never" : "later",
  });
}
