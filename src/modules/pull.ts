import type { Clock } from "../clock.ts";
import { cacheLimits } from "../limits.ts";
import { asFailure, Failure } from "../protocol/errors.ts";
import type { ModuleCache } from "./module-cache.ts";
import { createTransfer } from "./transfer.ts";

/** One piece of a module, and the size of the whole. */
export interface Piece {
  readonly bytes: Uint8Array;
  readonly sizeBytes: number;
}

/** What a pull needs of the world. */
export interface PullOptions {
  readonly digest: string;
  /** Nodes that are said to hold it, the nearest first. */
  readonly holders: readonly string[];
  /** The signal says that the piece is not needed any more. */
  readonly readPiece: (holder: string, offset: number, length: number, signal: AbortSignal) => Promise<Piece>;
  readonly cache: ModuleCache;
  readonly clock: Clock;
  /** What one message of the bus can carry; half a MiB unless that is less. */
  readonly pieceBytes?: number;
}

/**
 * Fetches a module in pieces, several at once and of several holders at once, the nearest ones. What a holder that
 * fails or is slow owes is asked of the others, and pieces that are here from a pull that was cut short are not fetched
 * again. The cache verifies the whole. MODULE_NOT_FOUND with each holder's reason when no holder is left,
 * RESOURCE_EXHAUSTED when there is no room for it.
 */
export async function pullModule(options: PullOptions): Promise<void> {
  const { digest, holders, cache } = options;
  if (cache.has(digest)) return;
  const reasons = new Map<string, Failure>();
  const together = createTransfer(options, cacheLimits.pieceBytes);
  if (await together.run(holders, reasons)) return;
  // One of them gives other bytes than the module's: each alone, and the one that does stands out.
  const suspects = together.isDisputed ? holders.filter((holder) => !together.failed.has(holder)) : [];
  for (const holder of suspects) {
    cache.abandon(digest);
    const alone = createTransfer(options, cacheLimits.pieceBytes);
    if (await alone.run([holder], reasons)) return;
  }
  throw notPulled(digest, holders, reasons);
}

function notPulled(
  digest: string,
  holders: readonly string[],
  reasons: ReadonlyMap<string, Failure>,
): Failure {
  const told = [...reasons].map(([holder, { message }]) => `${holder}: ${message}`);
  const may = [...reasons.values()].some(
    ({ code }) => code !== "MODULE_NOT_FOUND" && code !== "INVALID_REQUEST",
  );
  return new Failure(
    "MODULE_NOT_FOUND",
    `no node in reach gave ${digest}; ${told.join("; ") || "none is known to hold it"}`,
    {
      fix: "Upload it again: wasmatrix module put <file>",
      details: { digest, holders },
      // A holder that did not answer may do so later; what was fetched is kept.
      retry: may ? "later" : "never",
      cause: asFailure([...reasons.values()][0] ?? new Failure("MODULE_NOT_FOUND", "no holder")),
    },
  );
}
