import { createHash } from "node:crypto";
import type { AnswerOf, RequestOf } from "../../src/bus/serve.ts";
import { controlPlaneLimits } from "../../src/limits.ts";
import { asFailure, Failure } from "../../src/protocol/errors.ts";
import type { Desk } from "./desk.ts";
import { noPlace, place } from "./place.ts";
import { placeableNodes } from "./placeable-nodes.ts";
import { assertModuleSize, digestOfModule, holdersOf, storeModule, storePiece } from "./store-module.ts";

/**
 * Stores a module, or one piece of it, on a few nodes. All pieces of one digest go to the same nodes, whichever
 * control plane takes them, as long as no node comes or goes.
 */
export async function putModule(
  desk: Desk,
  request: RequestOf<"ctl.module.put">,
): Promise<AnswerOf<"ctl.module.put">> {
  const piece = "digest" in request ? request : undefined;
  if (piece !== undefined) assertPiece(piece);
  const digest = piece?.digest ?? digestOfModule(request.bytes);
  const targets = homesOf(desk, digest);
  const stored = await Promise.allSettled(
    targets.map(async (nodeId) => {
      if (piece !== undefined) return (await storePiece(desk, nodeId, piece)) ? nodeId : undefined;
      await storeModule(desk, nodeId, digest, request.bytes);
      return nodeId;
    }),
  );
  const taken = stored.filter((one) => one.status === "fulfilled");
  // One copy is enough to go on; that the other failed is seen in `holders`.
  const refused = stored.find((one) => one.status === "rejected");
  if (taken.length === 0 && refused !== undefined) throw asFailure(refused.reason);
  if (refused !== undefined)
    desk.log.warn({ digest, reason: String(refused.reason) }, "a node did not take a module");
  const holders = new Set([...holdersOf(desk, digest), ...taken.flatMap(({ value }) => value ?? [])]);
  return { digest, complete: holders.size > 0, holders: [...holders].toSorted() };
}

/** Lists the modules that nodes in reach hold. */
export function listModules(desk: Desk): AnswerOf<"ctl.module.list"> {
  const sizes = new Map<string, number>();
  for (const node of desk.view.nodes.values())
    for (const [digest, sizeBytes] of node.modules) sizes.set(digest, sizeBytes);
  const modules = [...sizes]
    .map(([digest, sizeBytes]) => ({ digest, sizeBytes, holders: holdersOf(desk, digest) }))
    .filter(({ holders }) => holders.length > 0)
    .toSorted((one, other) => (one.digest < other.digest ? -1 : 1));
  return { modules, view: desk.viewStatus() };
}

/** Rendezvous hashing (Thaler, Ravishankar 1998): the nodes whose hash with the digest is highest. */
function homesOf(desk: Desk, digest: string): string[] {
  const placement = place(placeableNodes(desk), { requires: {} });
  if (placement.candidates.length === 0) throw noPlace(placement, `module ${digest}`);
  const weight = (nodeId: string) => createHash("sha256").update(`${digest} ${nodeId}`).digest("hex");
  return placement.candidates
    .map(({ nodeId }) => ({ nodeId, weight: weight(nodeId) }))
    .toSorted((one, other) => (one.weight > other.weight ? -1 : 1))
    .slice(0, controlPlaneLimits.moduleCopies)
    .map(({ nodeId }) => nodeId);
}

function assertPiece({
  sizeBytes,
  offset,
  bytes,
}: {
  sizeBytes: number;
  offset: number;
  bytes: Uint8Array;
}): void {
  assertModuleSize(sizeBytes);
  if (bytes.length > 0 && offset + bytes.length <= sizeBytes) return;
  throw new Failure(
    "INVALID_REQUEST",
    `a piece of ${bytes.length} bytes at ${offset} is not within ${sizeBytes} bytes`,
    {
      fix: "Send pieces of at least one byte, from offset 0 to sizeBytes.",
      details: { fields: ["offset", "bytes"] },
    },
  );
}
