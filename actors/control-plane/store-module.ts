import { createHash } from "node:crypto";
import { controlPlaneLimits, moduleLimits, pullLimits } from "../../src/limits.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { askNode } from "./ask-node.ts";
import type { Desk } from "./desk.ts";
import { isOutOfReach } from "./summaries.ts";

/** The address of guest bytes; INVALID_MODULE when there are none, or too many. */
export function digestOfModule(bytes: Uint8Array): string {
  assertModuleSize(bytes.length);
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** Throws INVALID_MODULE unless a module may have that size. */
export function assertModuleSize(sizeBytes: number): void {
  if (sizeBytes > 0 && sizeBytes <= moduleLimits.moduleBytesMax) return;
  throw new Failure(
    "INVALID_MODULE",
    `a module has 1 to ${moduleLimits.moduleBytesMax} bytes, this one has ${sizeBytes}`,
    {
      fix:
        sizeBytes === 0
          ? "Send the bytes of a .wasm file."
          : "Build it smaller: strip debug sections, optimise for size.",
      details: { sizeBytes },
    },
  );
}

/** The nodes in reach that hold a module. */
export function holdersOf(desk: Desk, digest: string): string[] {
  return [...desk.view.nodes.values()]
    .filter((node) => node.modules.has(digest) && !isOutOfReach(desk, node.nodeId))
    .map(({ nodeId }) => nodeId)
    .toSorted();
}

/**
 * The nodes that a node is to fetch a module from, the nearest first: of its `zone`, on its machine, then any. Among
 * equally near ones each node has another first one, so that many do not all ask the same.
 */
export function holdersFor(desk: Desk, digest: string, nodeId: string): string[] {
  const placeOf = (id: string) => desk.view.nodes.get(id)?.joined;
  const own = placeOf(nodeId);
  const distance = (id: string) => {
    const other = placeOf(id);
    const sameZone = other?.labels["zone"] === own?.labels["zone"];
    return (sameZone ? 0 : 2) + (other?.hostname === own?.hostname ? 0 : 1);
  };
  const turn = (id: string) => createHash("sha256").update(`${nodeId} ${id}`).digest("hex");
  return holdersOf(desk, digest)
    .filter((holder) => holder !== nodeId)
    .map((holder) => ({ holder, key: `${distance(holder)}${turn(holder)}` }))
    .toSorted((one, other) => (one.key < other.key ? -1 : 1))
    .slice(0, pullLimits.holdersToldMax)
    .map(({ holder }) => holder);
}

/** Brings a whole module to one node in pieces; does nothing where the node is known to hold it. */
export async function storeModule(
  desk: Desk,
  nodeId: string,
  digest: string,
  bytes: Uint8Array,
): Promise<void> {
  if (desk.view.nodes.get(nodeId)?.modules.has(digest) === true) return;
  const { pieceBytes, pieceOverheadBytes } = controlPlaneLimits;
  const size = Math.max(1, Math.min(pieceBytes, desk.bus.maxPayloadBytes - pieceOverheadBytes));
  let complete = false;
  for (let offset = 0; offset < bytes.length; offset += size)
    complete = await storePiece(desk, nodeId, {
      digest,
      sizeBytes: bytes.length,
      offset,
      bytes: bytes.slice(offset, offset + size),
    });
  if (complete) return;
  throw new Failure(
    "COMMUNICATION_FAILURE",
    `node ${nodeId} took every piece of ${digest} and still misses some`,
    {
      fix: "Send the command again; the pieces are put together anew.",
      details: { nodeId, digest },
    },
  );
}

/** Brings one piece to one node; true when the node then holds all of it. */
export async function storePiece(
  desk: Desk,
  nodeId: string,
  piece: { digest: string; sizeBytes: number; offset: number; bytes: Uint8Array<ArrayBuffer> },
): Promise<boolean> {
  const { complete } = await askNode(desk, nodeId, "node.module.put", piece, controlPlaneLimits.nodePieceMs);
  return complete;
}
