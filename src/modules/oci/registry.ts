import { createHash } from "node:crypto";
import { cacheLimits, registryLimits } from "../../limits.ts";
import { asFailure, Failure } from "../../protocol/errors.ts";
import { echo } from "../../protocol/ids.ts";
import { type OciReference, parseOciReference, pinnedReference } from "../../protocol/oci-reference.ts";
import type { ModuleCache } from "../module-cache.ts";
import type { HttpAnswer } from "./http.ts";
import { manifestTypes, type ModuleLayer, readManifest } from "./manifest.ts";
import { openSession, type RegistryOptions, type RegistrySession } from "./session.ts";

/** What a reference means now. */
export interface ResolvedModule extends ModuleLayer {
  /** The same module for good: the reference with the digest of its manifest. */
  readonly pinned: string;
}

/** Modules of registries. Failures name the reference; never what the node showed to be let in. */
export interface OciRegistry {
  /**
   * Asks the registry what a reference means. MODULE_NOT_FOUND, PERMISSION_DENIED (another node may be let in),
   * INVALID_MODULE for what is no module, COMMUNICATION_FAILURE.
   */
  resolve(reference: string): Promise<ResolvedModule>;
  /** Brings the module of that digest into the cache, from where an earlier try ended; the same failures. */
  pull(reference: string, digest: string, cache: ModuleCache): Promise<void>;
}

/** Speaks the OCI distribution specification over HTTPS. */
export function createOciRegistry(options: RegistryOptions): OciRegistry {
  return {
    resolve: (reference) =>
      naming(reference, async () => {
        const parsed = parseOciReference(reference);
        return resolveIn(await openSession(parsed, options), parsed, reference);
      }),
    pull: (reference, digest, cache) =>
      naming(reference, async () => {
        const parsed = parseOciReference(reference);
        const session = await openSession(parsed, options);
        const module = await resolveIn(session, parsed, reference);
        if (module.digest !== digest) throw otherModule(reference, module.digest, digest);
        const begun = cache.missing(digest);
        if (begun !== undefined && begun.sizeBytes !== module.sizeBytes) cache.abandon(digest);
        for (let resumes = 0; ; resumes += 1) {
          const from = cache.missing(digest)?.gaps[0]?.[0] ?? 0;
          try {
            return await download(session, module, from, reference, cache);
          } catch (error) {
            const { code } = asFailure(error);
            // What was there before, of whomever, may not belong to it; all pieces are forgotten then.
            const mayHelp = code === "COMMUNICATION_FAILURE" || (code === "INVALID_REQUEST" && from > 0);
            if (!mayHelp || resumes >= registryLimits.resumesMax) throw error;
          }
        }
      }),
  };
}

/** Failures further down name hosts and digests; whoever asked knows the reference. */
async function naming<Result>(reference: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const failure = asFailure(error);
    if (failure.details?.["reference"] !== undefined) throw failure;
    throw new Failure(failure.code, `${echo(reference)}: ${failure.message}`, {
      ...(failure.fix === undefined ? {} : { fix: failure.fix }),
      details: { ...failure.details, reference },
      retry: failure.retry,
      cause: failure,
    });
  }
}

function otherModule(reference: string, found: string, digest: string): Failure {
  return new Failure("INVALID_REQUEST", `${echo(reference)} means ${found}, not ${digest}`, {
    fix: "Start it again from the reference, so that it is resolved anew.",
    details: { reference },
  });
}

async function resolveIn(
  session: RegistrySession,
  { registry, repository, version }: OciReference,
  reference: string,
): Promise<ResolvedModule> {
  let wanted = version;
  // An index leads to a manifest; an index of indexes leads nowhere.
  for (let depth = 0; depth < 2; depth += 1) {
    const answer = await session.get(`manifests/${wanted}`, { accept: manifestTypes });
    assertFound(answer, reference, registry);
    const bytes = await answer.bytes(registryLimits.manifestBytesMax);
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    if (wanted.startsWith("sha256:") && wanted !== digest)
      throw new Failure("COMMUNICATION_FAILURE", `${registry} gave another manifest than ${wanted}`, {
        fix: "Ask whoever runs the registry: what it stores is damaged.",
        details: { reference },
      });
    const found = readManifest(bytes, reference);
    if (!("manifest" in found))
      return { ...found, pinned: pinnedReference({ registry, repository, version }, digest) };
    wanted = found.manifest;
  }
  throw new Failure("INVALID_MODULE", `${echo(reference)} is an index of indexes`, {
    fix: "Refer to the manifest of the module by its digest.",
    details: { reference },
  });
}

/** Downloads from there to the end; COMMUNICATION_FAILURE when the module is not whole then. */
async function download(
  session: RegistrySession,
  { digest, sizeBytes }: ModuleLayer,
  from: number,
  reference: string,
  cache: ModuleCache,
): Promise<void> {
  const answer = await session.get(`blobs/${digest}`, from === 0 ? {} : { range: `bytes=${from}-` });
  assertFound(answer, reference, parseOciReference(reference).registry);
  // A server that knows no ranges answers 200 with all of it.
  let offset = answer.status === 206 ? from : 0;
  const piece = new Uint8Array(cacheLimits.pieceBytes);
  let filled = 0;
  const flush = async () => {
    const isWhole = await cache.putPiece(digest, sizeBytes, offset, piece.subarray(0, filled));
    offset += filled;
    filled = 0;
    return isWhole;
  };
  for await (const chunk of answer.chunks()) {
    if (offset + filled + chunk.length > sizeBytes)
      throw new Failure(
        "INVALID_MODULE",
        `the layer of ${echo(reference)} is longer than its manifest says`,
        {
          fix: "Push the module again.",
          details: { reference },
        },
      );
    for (let read = 0; read < chunk.length;) {
      const part = chunk.subarray(read, read + piece.length - filled);
      piece.set(part, filled);
      read += part.length;
      filled += part.length;
      if (filled === piece.length && (await flush())) return;
    }
  }
  if (filled > 0 && (await flush())) return;
  throw new Failure("COMMUNICATION_FAILURE", `the layer of ${echo(reference)} broke off at ${offset} bytes`, {
    fix: "Try again; what is here is kept.",
    details: { reference },
    retry: "elsewhere",
  });
}

function assertFound(answer: HttpAnswer, reference: string, registry: string): void {
  const { status } = answer;
  if (status === 200 || status === 206) return;
  answer.discard();
  const what = `${echo(reference)}: the registry answers ${status}`;
  const details = { reference, registry, status };
  if (status === 404)
    throw new Failure("MODULE_NOT_FOUND", `${what}, it has no such name or tag`, {
      fix: "Check name and tag; `oras repo tags <registry>/<name>` lists the tags there are.",
      details,
    });
  if (status === 401 || status === 403)
    throw new Failure("PERMISSION_DENIED", `${what}, it does not let this node in`, {
      fix: `Start nodes with --registry-credentials <file>: a docker config.json with an entry for ${registry} that may pull it.`,
      details,
      retry: "elsewhere",
    });
  throw new Failure("COMMUNICATION_FAILURE", what, {
    fix: status === 429 ? "It takes no more requests for now; try later." : "Try later.",
    details,
    retry: "later",
  });
}
