/**
 * Builds the guests of `examples/` into `build/examples/<name>.wasm`, those alone whose sources, arguments or tools
 * have changed: `node scripts/build-examples.ts [--install] [name…]`.
 */
import { execFile } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs, promisify } from "node:util";

const run = promisify(execFile);
const root = path.join(import.meta.dirname, "..");
const examplesFolder = path.join(root, "examples");
const buildFolder = path.join(root, "build", "examples");
const sdk = "guest-sdk/assemblyscript";
const ascProgram = path.join(root, "node_modules", "assemblyscript", "bin", "asc.js");

/** The same names in Debian 12 (LLVM 14) and 13 (LLVM 19); tried with both compilers. */
const debianPackages = ["clang", "lld", "wasi-libc", "libclang-rt-dev-wasm32"];
const aptGet = `apt-get install --no-install-recommends ${debianPackages.join(" ")}`;

/** Names stay in the module (`--debug` writes nothing else): a trap without names tells nobody anything. */
const ascFlags = ["-O3", "--shrinkLevel", "1", "--debug", "--noColors"];
const withSdk = ["--runtime", "minimal", "--use", `abort=${sdk}/abort/abort`];
/**
 * Told of `-O2` itself, clang would hand the module to any `wasm-opt` on the PATH, as npm scripts have one, and the names
 * would be gone. The stack stands first in memory, so that one too deep traps instead of overwriting data.
 */
const clangFlags = [
  "--target=wasm32-wasi",
  "-Xclang",
  "-O2",
  "-Wall",
  "-Wextra",
  "-Werror",
  "-Wl,--strip-debug,--stack-first,-z,stack-size=16384",
];

interface Recipe {
  /** Below `examples/`. Everything in its folder counts as its source. */
  source: `${string}.ts` | `${string}.c`;
  flags: readonly string[];
  /** The world of a component, in the first file of the folder `wit` beside the source; a core module has none. */
  world?: { name: string; wit: readonly string[] };
}

const recipes = {
  echo: { source: "echo/echo.ts", flags: [...ascFlags, "--runtime", "stub"] },
  counter: { source: "counter/counter.ts", flags: [...ascFlags, ...withSdk] },
  crasher: { source: "crasher/crasher.ts", flags: [...ascFlags, ...withSdk] },
  web: { source: "web/web.ts", flags: [...ascFlags, ...withSdk] },
  "what-time": { source: "provider-clock/what-time.ts", flags: [...ascFlags, ...withSdk] },
  "sdk-check": { source: "guest-sdk/check/check.ts", flags: [...ascFlags, ...withSdk] },
  greeter: { source: "greeter/greeter.c", flags: clangFlags },
  tally: { source: "tally/tally.c", flags: [...clangFlags, "-mexec-model=reactor"] },
  "hello-http": {
    source: "hello-http/hello-http.c",
    flags: [...clangFlags, "-mexec-model=reactor"],
    world: { name: "hello-http", wit: ["world.wit", "http.wit", "io.wit"] },
  },
} as const satisfies Record<string, Recipe>;

/** A guest of `examples/`. */
export type ExampleName = keyof typeof recipes;

/** Every guest of `examples/`. */
export const exampleNames = Object.keys(recipes) as ExampleName[];

/** The guests that need nothing but what `npm install` brought. */
export const quickstartExamples = ["echo", "counter", "crasher"] as const satisfies ExampleName[];

/** One guest, built. */
export interface BuiltExample {
  /** Absolute. */
  path: string;
  bytes: number;
  /** Whether it had to be built now. */
  built: boolean;
}

/** Something that builds are made with is not on this machine; the message says how to get it. */
export class ToolMissing extends Error {
  override readonly name = "ToolMissing";
}

/**
 * Builds what is stale among `names` and says where each is. With `install`, Debian packages that C needs and that
 * are missing are installed first, which takes root. Several processes may do this at once: each module appears
 * whole or not at all. Rejects with {@link ToolMissing}, or with what the compiler said.
 */
export async function buildExamples<Name extends ExampleName = ExampleName>(
  names: readonly Name[] = exampleNames as Name[],
  options: { install?: boolean } = {},
): Promise<Record<Name, BuiltExample>> {
  const asc = names.every(isInC) ? "" : await ascVersion();
  const clang = names.some(isInC) ? await clangVersion(options.install ?? false) : "";
  const built = await Promise.all(
    names.map(async (name) => [name, await buildOne(name, isInC(name) ? clang : asc)] as const),
  );
  return Object.fromEntries(built) as Record<Name, BuiltExample>;
}

function isInC(name: ExampleName): boolean {
  return recipes[name].source.endsWith(".c");
}

async function buildOne(name: ExampleName, toolVersion: string): Promise<BuiltExample> {
  const output = path.join(buildFolder, `${name}.wasm`);
  const stamp = path.join(buildFolder, `${name}.inputs`);
  const inputs = await hashOfInputs(name, toolVersion);
  const isStale = !existsSync(output) || (await readFile(stamp, "utf8").catch(() => "")) !== inputs;
  if (isStale) {
    await mkdir(buildFolder, { recursive: true });
    await replaceFile(output, (temporary) => compile(name, temporary));
    // Only after the module: a build that is cut short must stay stale.
    await replaceFile(stamp, (temporary) => writeFile(temporary, inputs));
  }
  return { path: output, bytes: (await stat(output)).size, built: isStale };
}

async function compile(name: ExampleName, output: string): Promise<void> {
  const { source, flags, world }: Recipe = recipes[name];
  // Both compilers take relative names into the module; from here they are the same on every machine.
  const options = { cwd: examplesFolder };
  if (isInC(name)) await run("clang", [...flags, "-o", output, source], options);
  else await run(process.execPath, [ascProgram, source, ...flags, "-o", output], options);
  if (world !== undefined) await makeComponent(output, world.name, await witOf(source, world.wit));
}

/** Turns a core module into a component of that world. */
async function makeComponent(file: string, world: string, wit: string): Promise<void> {
  // Loaded here: it takes 100 ms, and most builds have nothing to do.
  const { componentEmbed, componentNew } = await import("@bytecodealliance/jco-transpile/wasm-tools");
  const binary = await componentEmbed({ binary: await readFile(file), witSource: wit, world });
  await writeFile(file, await componentNew(binary));
}

/** All of a component's WIT as one text; the tool cannot read a folder. */
async function witOf(source: string, files: readonly string[]): Promise<string> {
  const folder = path.join(examplesFolder, path.dirname(source), "wit");
  return (await Promise.all(files.map((file) => readFile(path.join(folder, file), "utf8")))).join("\n");
}

async function hashOfInputs(name: ExampleName, toolVersion: string): Promise<string> {
  const { source, flags, world }: Recipe = recipes[name];
  const folder = path.dirname(source);
  const hash = createHash("sha256").update(JSON.stringify([toolVersion, flags, world]));
  if (world !== undefined) hash.update(await componentToolVersion()).update(await witOf(source, world.wit));
  for (const each of isInC(name) ? [folder] : [folder, sdk]) {
    const files = await readdir(path.join(examplesFolder, each));
    for (const file of files.filter((one) => /\.(ts|c|h)$/.test(one)).sort()) {
      hash.update(`\0${each}/${file}\0`).update(await readFile(path.join(examplesFolder, each, file)));
    }
  }
  return hash.digest("hex");
}

async function replaceFile(target: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = path.join(path.dirname(target), `.${randomUUID()}-${path.basename(target)}`);
  try {
    await write(temporary);
    await rename(temporary, target);
  } finally {
    await rm(temporary, { force: true });
  }
}

async function ascVersion(): Promise<string> {
  const manifest = path.join(path.dirname(ascProgram), "..", "package.json");
  const text = await readFile(manifest, "utf8").catch(() => {
    throw new ToolMissing("the AssemblyScript compiler is missing; `npm install` brings it");
  });
  return `asc ${(JSON.parse(text) as { version: string }).version}`;
}

async function componentToolVersion(): Promise<string> {
  const folder = path.join(root, "node_modules", "@bytecodealliance", "jco-transpile");
  return (JSON.parse(await readFile(path.join(folder, "package.json"), "utf8")) as { version: string })
    .version;
}

async function clangVersion(mayInstall: boolean): Promise<string> {
  const missing = await missingPackages();
  if (missing.length > 0 && mayInstall) {
    await installPackages();
    return clangVersion(false);
  }
  if (missing.length > 0) {
    throw new ToolMissing(
      `the examples in C need ${missing.join(", ")}: run \`${aptGet}\` as root, or \`node scripts/build-examples.ts ` +
        "--install`; elsewhere than on Debian, put a clang that finds the WASI C library on the PATH",
    );
  }
  return (await run("clang", ["--version"])).stdout;
}

async function missingPackages(): Promise<string[]> {
  const [hasClang, hasLinker] = await Promise.all([answers("clang"), answers("wasm-ld")]);
  const missing = [...(hasClang ? [] : ["clang"]), ...(hasLinker ? [] : ["lld"])];
  if (!hasClang) return missing;
  const [start, builtins] = await Promise.all([
    clangFile("-print-file-name=crt1-reactor.o"),
    clangFile("-print-libgcc-file-name"),
  ]);
  if (!existsSync(start)) missing.push("wasi-libc");
  if (!existsSync(builtins)) missing.push("libclang-rt-dev-wasm32");
  return missing;
}

async function answers(command: string): Promise<boolean> {
  return run(command, ["--version"]).then(
    () => true,
    () => false,
  );
}

/** Where this clang has a file for WASI; a bare name, or nothing that exists, where it has none. */
async function clangFile(question: string): Promise<string> {
  return (await run("clang", ["--target=wasm32-wasi", question])).stdout.trim();
}

async function installPackages(): Promise<void> {
  console.log(`installing Debian packages: ${debianPackages.join(" ")}`);
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const install = ["install", "-y", "--no-install-recommends", ...debianPackages];
  try {
    await run("apt-get", install, { env }).catch(async () => {
      // A fresh machine has no package lists yet.
      await run("apt-get", ["update"], { env });
      await run("apt-get", install, { env });
    });
  } catch (error) {
    throw new ToolMissing(`could not install them; run \`${aptGet}\` as root`, { cause: error });
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { install: { type: "boolean", default: false } },
    allowPositionals: true,
  });
  const unknown = positionals.filter((name) => !Object.hasOwn(recipes, name));
  if (unknown.length > 0) {
    throw new Error(`no example is called ${unknown.join(", ")}; there are ${exampleNames.join(", ")}`);
  }
  const names = positionals.length > 0 ? (positionals as ExampleName[]) : exampleNames;
  try {
    report(await buildExamples(names, values));
  } catch (error) {
    // Who named none gets what can be had here, and is told what cannot.
    if (!(error instanceof ToolMissing) || positionals.length > 0 || values.install) throw error;
    report(await buildExamples(quickstartExamples));
    console.log(`not built: ${error.message}`);
  }
}

function report(examples: Partial<Record<ExampleName, BuiltExample>>): void {
  for (const [name, { path: file, bytes, built }] of Object.entries(examples)) {
    const where = path.relative(process.cwd(), file);
    console.log(`${name.padEnd(9)} ${where} ${bytes} bytes${built ? "" : ", unchanged"}`);
  }
}

if (import.meta.main) {
  await main().catch((error: unknown) => {
    const said = (error as { stderr?: string }).stderr;
    console.error(said === undefined || said === "" ? (error as Error).message : said);
    process.exitCode = 1;
  });
}
