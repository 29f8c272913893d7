import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { cacheLimits } from "../limits.ts";
import { Failure } from "../protocol/errors.ts";

/** Modules of which pieces are missing. */
export interface Uploads {
  /** Writes one piece; true when it was the last and the whole was verified and kept. */
  putPiece(digest: string, sizeBytes: number, offset: number, bytes: Uint8Array): Promise<boolean>;
  /** What is missing of a module of which pieces are there; undefined for any other. */
  missing(digest: string): Missing | undefined;
  /** Forgets the pieces of a module. */
  abandon(digest: string): void;
  /** Forgets all pieces. */
  close(): Promise<void>;
}

/** The parts of a module that are not there yet, in their order, each from one offset up to another. */
export interface Missing {
  readonly sizeBytes: number;
  readonly gaps: readonly (readonly [from: number, to: number])[];
}

interface Upload {
  readonly sizeBytes: number;
  readonly part: string;
  readonly file: Promise<FileHandle>;
  /** Offset → length of each piece that is written. */
  readonly pieces: Map<number, number>;
  /** The sum of these lengths: as long as it is less than the size, nobody need look for gaps. */
  bytes: number;
  /** The verification, once all is there. */
  whole?: Promise<void>;
}

/** Collects pieces in files of that directory; `keep` takes over the file of a whole module. */
export function openUploads({
  directory,
  keep,
}: {
  directory: string;
  keep: (digest: string, part: string, sizeBytes: number) => Promise<void>;
}): Uploads {
  // The one that got a piece last is last.
  const uploads = new Map<string, Upload>();
  let opened = 0;

  function uploadOf(digest: string, sizeBytes: number): Upload {
    let upload = uploads.get(digest);
    if (upload !== undefined && upload.sizeBytes !== sizeBytes) {
      throw refused(`another piece said that the module has ${upload.sizeBytes} bytes, not ${sizeBytes}`);
    }
    if (upload === undefined) {
      const part = join(directory, `upload-${(opened += 1)}.part`);
      upload = { sizeBytes, part, file: open(part, "w+"), pieces: new Map(), bytes: 0 };
      upload.file.catch(() => uploads.delete(digest));
    }
    uploads.delete(digest);
    uploads.set(digest, upload);
    crowdOut();
    return upload;
  }

  /** Forgets the uploads that waited longest for a piece, as long as there are too many. */
  function crowdOut(): void {
    let bytes = [...uploads.values()].reduce((sum, upload) => sum + upload.sizeBytes, 0);
    for (const [digest, upload] of uploads) {
      if (uploads.size <= cacheLimits.uploadsMax && bytes <= cacheLimits.uploadBytesMax) return;
      if (upload.whole !== undefined) continue;
      bytes -= upload.sizeBytes;
      uploads.delete(digest);
      void discard(upload);
    }
  }

  async function finish(digest: string, upload: Upload): Promise<void> {
    try {
      const file = await upload.file;
      await file.sync();
      const found = await digestOf(upload.part);
      if (found !== digest) throw refused(`the pieces together are ${found}, not ${digest}`);
      await file.close();
      await keep(digest, upload.part, upload.sizeBytes);
    } catch (error) {
      await discard(upload);
      throw error;
    } finally {
      uploads.delete(digest);
    }
  }

  return {
    async putPiece(digest, sizeBytes, offset, bytes) {
      if (bytes.length === 0 || offset + bytes.length > sizeBytes) {
        throw refused(`a piece of ${bytes.length} bytes at ${offset} is not within ${sizeBytes} bytes`);
      }
      const upload = uploadOf(digest, sizeBytes);
      if (upload.pieces.size >= cacheLimits.piecesMax) {
        throw refused(`a module in more than ${cacheLimits.piecesMax} pieces is not taken`);
      }
      const file = await upload.file;
      try {
        await file.write(bytes, 0, bytes.length, offset);
      } catch (error) {
        if (uploads.get(digest) !== upload) throw refused("others crowded it out meanwhile");
        uploads.delete(digest);
        await discard(upload);
        throw isDiskFull(error) ? diskFull(error) : error;
      }
      const before = upload.pieces.get(offset) ?? 0;
      upload.pieces.set(offset, Math.max(bytes.length, before));
      upload.bytes += Math.max(0, bytes.length - before);
      if (upload.bytes < sizeBytes || gapsIn(upload).length > 0) return false;
      upload.whole ??= finish(digest, upload);
      await upload.whole;
      return true;
    },
    missing(digest) {
      const upload = uploads.get(digest);
      return upload === undefined ? undefined : { sizeBytes: upload.sizeBytes, gaps: gapsIn(upload) };
    },
    abandon(digest) {
      const upload = uploads.get(digest);
      // What is being verified ends by itself, and soon.
      if (upload === undefined || upload.whole !== undefined) return;
      uploads.delete(digest);
      void discard(upload);
    },
    async close() {
      const open = [...uploads.values()];
      uploads.clear();
      await Promise.all(open.map(discard));
    },
  };
}

function gapsIn({ pieces, sizeBytes }: Upload): [from: number, to: number][] {
  const gaps: [number, number][] = [];
  let end = 0;
  for (const [offset, length] of [...pieces].toSorted(([one], [other]) => one - other)) {
    if (offset > end) gaps.push([end, offset]);
    end = Math.max(end, offset + length);
  }
  if (end < sizeBytes) gaps.push([end, sizeBytes]);
  return gaps;
}

async function discard(upload: Upload): Promise<void> {
  await upload.file.then((file) => file.close()).catch(() => undefined);
  await rm(upload.part, { force: true });
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return `sha256:${hash.digest("hex")}`;
}

function isDiskFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOSPC" || code === "EDQUOT";
}

function diskFull(cause: unknown): Failure {
  return new Failure("RESOURCE_EXHAUSTED", "the disk of the module cache is full", {
    fix: "Free space there, or start the node with `--modules` on another disk.",
    cause,
  });
}

function refused(message: string): Failure {
  return new Failure("INVALID_REQUEST", message, {
    fix: "Send the pieces of one file with its size and sha256, from its beginning to its end.",
  });
}
