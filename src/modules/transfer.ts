import type { Timer } from "../clock.ts";
import { moduleLimits, pullLimits } from "../limits.ts";
import { asFailure, Failure } from "../protocol/errors.ts";
import type { ModuleCache } from "./module-cache.ts";
import type { PullOptions } from "./pull.ts";

/** One try to bring together a module from some holders. */
export interface Transfer {
  /**
   * Resolves with whether the module is held now; why holders failed goes into `reasons`. Rejects with what is wrong
   * here: RESOURCE_EXHAUSTED when the disk is full, or others crowd the pieces out.
   */
  run(holders: readonly string[], reasons: Map<string, Failure>): Promise<boolean>;
  /** Whether what holders gave did not belong together, or is not the module. */
  readonly isDisputed: boolean;
  /** Holders that did not answer any more, or hold it no longer. */
  readonly failed: ReadonlySet<string>;
}

/** A piece that was asked for, and whom. */
interface Flight {
  readonly offset: number;
  readonly length: number;
  since: number;
  readonly askedOf: Set<string>;
}

/** A transfer that has not begun. */
export function createTransfer(options: PullOptions, pieceBytesMax: number): Transfer {
  const { digest, cache, clock, readPiece } = options;
  const pieceBytes = Math.min(pieceBytesMax, options.pieceBytes ?? pieceBytesMax);
  const over = new AbortController();
  const ended = Promise.withResolvers<boolean>();
  const failed = new Set<string>();
  const active = new Set<string>();
  const flights = new Map<number, Flight>();
  let spares: string[] = [];
  let reasons = new Map<string, Failure>();
  let sizeBytes = cache.missing(digest)?.sizeBytes;
  let todo =
    sizeBytes === undefined ? [{ offset: 0, length: pieceBytes }] : missingPieces(cache, digest, pieceBytes);
  let refills = 0;
  let writing = 0;
  let isDisputed = false;
  let change = Promise.withResolvers<void>();
  let timer: Timer;

  const wake = () => {
    change.resolve();
    change = Promise.withResolvers();
  };
  const end = (held: boolean) => {
    over.abort(new Error("the transfer is over"));
    clock.clearTimeout(timer);
    ended.resolve(held);
    wake();
  };
  const isSlow = (flight: Flight) => clock.now() - flight.since >= pullLimits.slowPieceMs;
  const watch = () => {
    timer = clock.setTimeout(() => {
      if ([...flights.values()].some(isSlow)) admitSpare();
      wake();
      watch();
    }, pullLimits.slowPieceMs);
  };

  function admitSpare(): void {
    const holder = spares.shift();
    if (holder === undefined) return;
    active.add(holder);
    for (let worker = 0; worker < pullLimits.piecesPerHolder; worker += 1) void work(holder);
  }

  /** The next piece for that holder: one that nobody was asked for, else one that another is slow with. */
  function next(holder: string): Flight | undefined {
    const piece = todo.shift();
    if (piece !== undefined) {
      const flight = { ...piece, since: clock.now(), askedOf: new Set<string>() };
      flights.set(flight.offset, flight);
      return flight;
    }
    for (const flight of flights.values())
      if (isSlow(flight) && flight.askedOf.size < 2 && !flight.askedOf.has(holder)) return flight;
    return undefined;
  }

  async function work(holder: string): Promise<void> {
    while (!over.signal.aborted && active.has(holder)) {
      const flight = next(holder);
      if (flight === undefined) await change.promise;
      else await bring(holder, flight);
    }
  }

  async function bring(holder: string, flight: Flight): Promise<void> {
    const { offset, length } = flight;
    flight.askedOf.add(holder);
    let piece;
    try {
      piece = await readPiece(holder, offset, length, over.signal);
      assertPiece(piece, flight);
    } catch (error) {
      if (!over.signal.aborted) drop(holder, failureOfHolder(error));
      return;
    }
    // Another holder was faster with it.
    if (over.signal.aborted || flights.get(offset) !== flight) return;
    flights.delete(offset);
    writing += 1;
    try {
      if (sizeBytes === undefined) {
        sizeBytes = piece.sizeBytes;
        todo.push(...piecesOf([[piece.bytes.length, sizeBytes]], pieceBytes));
        wake();
      }
      if (await cache.putPiece(digest, sizeBytes, offset, piece.bytes)) return end(true);
    } catch (error) {
      return refused(asFailure(error));
    } finally {
      writing -= 1;
    }
    if (!over.signal.aborted && todo.length === 0 && flights.size === 0 && writing === 0) refill();
    wake();
  }

  /** What the cache says of a piece: that the whole has another digest, or that there is no room. */
  function refused(failure: Failure): void {
    if (over.signal.aborted) return;
    if (failure.code !== "INVALID_REQUEST") ended.reject(failure);
    isDisputed = true;
    for (const one of active) if (!reasons.has(one)) reasons.set(one, failure);
    end(false);
  }

  function assertPiece(
    { bytes, sizeBytes: said }: { bytes: Uint8Array; sizeBytes: number },
    flight: Flight,
  ): void {
    if (sizeBytes === undefined ? said < 1 || said > moduleLimits.moduleBytesMax : said !== sizeBytes) {
      throw new Failure(
        "INVALID_REQUEST",
        `it says that the module has ${said} bytes, not ${sizeBytes ?? `1 to ${moduleLimits.moduleBytesMax}`}`,
      );
    }
    const length = Math.min(flight.length, said - flight.offset);
    if (bytes.length === length) return;
    throw new Failure("INVALID_REQUEST", `it gave ${bytes.length} of ${length} bytes at ${flight.offset}`);
  }

  /** All was fetched and it is not whole: others crowded pieces out. */
  function refill(): void {
    todo = missingPieces(cache, digest, pieceBytes);
    if (todo.length === 0) todo = piecesOf([[0, sizeBytes ?? pieceBytes]], pieceBytes);
    refills += 1;
    if (refills <= pullLimits.refillsMax) return;
    refused(
      new Failure("RESOURCE_EXHAUSTED", "other modules that arrive here crowd its pieces out", {
        fix: "Start it on another node, or later.",
      }),
    );
  }

  /** Asks no more of that holder; what it owes goes to the others. */
  function drop(holder: string, failure: Failure): void {
    if (!active.delete(holder)) return;
    // It may be the one that is right: who gave the size is not known to be.
    if (failure.code === "INVALID_REQUEST") isDisputed = true;
    else failed.add(holder);
    reasons.set(holder, failure);
    for (const [offset, flight] of flights) {
      if (!flight.askedOf.delete(holder) || flight.askedOf.size > 0) continue;
      flights.delete(offset);
      todo.push({ offset, length: flight.length });
    }
    admitSpare();
    if (active.size === 0) end(false);
    wake();
  }

  return {
    get isDisputed() {
      return isDisputed;
    },
    failed,
    async run(holders, said) {
      reasons = said;
      spares = [...holders];
      if (spares.length === 0) return cache.has(digest);
      watch();
      for (let place = 0; place < pullLimits.holdersAtOnce; place += 1) admitSpare();
      return ended.promise;
    },
  };
}

/** Whatever ends a question to a holder ends that holder alone. */
function failureOfHolder(error: unknown): Failure {
  if (error instanceof Failure) return error;
  return new Failure("COMMUNICATION_FAILURE", error instanceof Error ? error.message : String(error));
}

function missingPieces(cache: ModuleCache, digest: string, pieceBytes: number) {
  const missing = cache.missing(digest);
  if (missing === undefined) return [];
  // All is there and being verified: whoever puts the first piece once more waits for that.
  const { gaps, sizeBytes } = missing;
  return piecesOf(gaps.length > 0 ? gaps : [[0, Math.min(pieceBytes, sizeBytes)]], pieceBytes);
}

function piecesOf(gaps: readonly (readonly [from: number, to: number])[], pieceBytes: number) {
  return gaps.flatMap(([from, to]) =>
    Array.from({ length: Math.ceil((to - from) / pieceBytes) }, (_, index) => {
      const offset = from + index * pieceBytes;
      return { offset, length: Math.min(pieceBytes, to - offset) };
    }),
  );
}
