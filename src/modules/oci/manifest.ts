import { z } from "zod";
import { moduleLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";
import { echo } from "../../protocol/ids.ts";

/** What manifests are asked for; wasm comes in an image manifest, sometimes behind an index of platforms. */
export const manifestTypes = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
].join(", ");

/** The content of a manifest, as its descriptor says. */
export interface ModuleLayer {
  /** Of the raw bytes, and so the module's own. */
  readonly digest: string;
  readonly sizeBytes: number;
}

const Sha256 = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const Descriptor = z.looseObject({
  mediaType: z.string().default(""),
  digest: z.string(),
  size: z.int().min(0),
  annotations: z.record(z.string(), z.string()).optional(),
  platform: z.looseObject({ architecture: z.string().optional(), os: z.string().optional() }).optional(),
});
const Manifest = z.looseObject({ layers: z.array(Descriptor) });
const Index = z.looseObject({ manifests: z.array(Descriptor) });

/**
 * The wasm layer of a manifest, or the manifest of an index that has it. INVALID_MODULE, naming the reference, where
 * there is none, more than one, or one that is too large.
 */
export function readManifest(
  bytes: Uint8Array,
  reference: string,
): ModuleLayer | { readonly manifest: string } {
  const json = jsonOf(bytes);
  const index = Index.safeParse(json);
  if (index.success) return { manifest: wasmManifest(index.data.manifests, reference) };
  const manifest = Manifest.safeParse(json);
  if (!manifest.success) throw noModule(reference, "has no manifest of an image or an artifact");
  const { layers } = manifest.data;
  const wasm = layers.filter(
    ({ mediaType }) => mediaType === "application/wasm" || mediaType.endsWith("+wasm"),
  );
  const named = layers.filter(({ annotations }) =>
    (annotations?.["org.opencontainers.image.title"] ?? "").endsWith(".wasm"),
  );
  const found = wasm.length > 0 ? wasm : named;
  const [layer] = found;
  if (layer === undefined)
    throw noModule(
      reference,
      `has no wasm layer; it has ${echo(layers.map((one) => one.mediaType).join(", "))}`,
    );
  if (found.length > 1) throw noModule(reference, `has ${found.length} wasm layers`);
  if (!Sha256.safeParse(layer.digest).success) throw noModule(reference, "names its layer by no sha256");
  if (layer.size < 1 || layer.size > moduleLimits.moduleBytesMax) {
    throw new Failure(
      "INVALID_MODULE",
      `a module has 1 to ${moduleLimits.moduleBytesMax} bytes, that of ${echo(reference)} has ${layer.size}`,
      { fix: "Strip debug sections (wasm-opt --strip-debug), or split the guest.", details: { reference } },
    );
  }
  return { digest: layer.digest, sizeBytes: layer.size };
}

/** The one for wasm; the only one, where platforms are not told apart. */
function wasmManifest(manifests: readonly z.infer<typeof Descriptor>[], reference: string): string {
  const wasm = manifests.filter(({ platform }) => platform?.architecture?.startsWith("wasm"));
  const found = wasm.length > 0 ? wasm : manifests;
  const [one] = found;
  if (one === undefined || found.length > 1 || !Sha256.safeParse(one.digest).success)
    throw noModule(
      reference,
      `is an index of ${manifests.length} manifests, ${wasm.length} of them for wasm`,
    );
  return one.digest;
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

function noModule(reference: string, problem: string): Failure {
  return new Failure("INVALID_MODULE", `${echo(reference)} ${problem}`, {
    fix: "Push the module as one layer of the type application/wasm: `oras push <reference> guest.wasm:application/wasm`, or `wkg oci push`.",
    details: { reference },
  });
}
