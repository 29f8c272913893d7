import { createHash } from "node:crypto";
import { readFile, realpath } from "node:fs/promises";
import { basename, extname, isAbsolute, join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { CreateCapability, ProviderKind } from "../../actors/provider/provider-kind.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { echo } from "../../src/protocol/ids.ts";

/** What a provider of one's own exports. */
interface ProviderModule {
  createProvider?: CreateCapability;
  /** The type that its permissions begin with; the name of the file unless given. */
  providerType?: string;
}

/**
 * The kind of provider in a file that exports `createProvider`. Loaded anew when the file has changed, so that an update
 * gets the new code; files that it imports stay as they were. INVALID_REQUEST where there is none.
 */
export async function loadKind(path: string): Promise<ProviderKind> {
  const file = resolve(path);
  const loaded = await load(file);
  const { createProvider, providerType = basename(file, extname(file)) } = loaded;
  if (typeof createProvider !== "function")
    throw notLoaded(path, "it does not export `createProvider`", "docs/providers.md shows how to write one.");
  const backend = { describe: `the file ${basename(file)}`, create: createProvider };
  return {
    kind: `module:${path}`,
    providerType: String(providerType),
    describe: "a provider of somebody's own",
    backends: new Map([["module", backend]]),
  };
}

/** The same for a file below that directory; a path that leads out of it is refused, by a link as well. */
export async function kindInDirectory(directory: string | undefined, path: string): Promise<ProviderKind> {
  const nothing = () => undefined;
  const below = directory === undefined ? undefined : await realpath(directory).catch(nothing);
  const file = below === undefined ? undefined : await realpath(join(below, path)).catch(nothing);
  const inside = below === undefined || file === undefined ? ".." : relative(below, file);
  if (file === undefined || inside.startsWith("..") || isAbsolute(inside))
    throw notLoaded(
      path,
      "there is no such file in the folder for provider modules",
      "That folder is named when the node is started: --provider-modules <folder>.",
    );
  const { providerType, describe, backends } = await loadKind(file);
  return { kind: `module:${path}`, providerType, describe, backends };
}

async function load(file: string): Promise<ProviderModule> {
  try {
    const version = createHash("sha256")
      .update(await readFile(file))
      .digest("hex")
      .slice(0, 16);
    return (await import(`${pathToFileURL(file).href}?${version}`)) as ProviderModule;
  } catch (error) {
    const why = error instanceof Error ? (error.message.split("\n", 1)[0] ?? "") : String(error);
    throw notLoaded(
      basename(file),
      why.slice(0, 200),
      "It must be JavaScript, or TypeScript whose types can be stripped.",
    );
  }
}

function notLoaded(path: string, why: string, fix: string): Failure {
  return new Failure("INVALID_REQUEST", `${echo(path)} cannot be loaded as a provider: ${why}`, {
    fix,
    details: { fields: ["kind"] },
  });
}
