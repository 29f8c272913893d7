import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { componentEmbed, componentNew, parse } from "@bytecodealliance/jco-transpile/wasm-tools";

const run = promisify(execFile);

/** The component that gets one key of a bucket, over and over. */
export async function buildGetLoop(): Promise<Uint8Array> {
  return parse(await readFile(path.join(import.meta.dirname, "get-loop.wat"), "utf8"));
}

/** The component of about 226 KB; takes 1 s. Needs clang and the WASI C library, as the examples in C do. */
export async function buildLibrary(): Promise<Uint8Array> {
  const folder = await mkdtemp(path.join(tmpdir(), "wasmatrix-bench-"));
  try {
    const output = path.join(folder, "library.wasm");
    await run("clang", [...flags, "-o", output, "library.c", ...libraries], { cwd: import.meta.dirname });
    const binary = await componentEmbed({ binary: await readFile(output), witSource: wit, world: "library" });
    return await componentNew(binary);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new Error("there is no clang: `node scripts/build-examples.ts --install` brings it", {
      cause: error,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The same component with another digest, which nothing that keeps modules has seen: a section more, of 8 bytes. */
export function unseen(component: Uint8Array, number: number): Uint8Array {
  const custom = [0x00, 0x06, 0x01, 0x6e, 0, 0, 0, 0];
  const bytes = Buffer.concat([component, new Uint8Array(custom)]);
  bytes.writeUInt32LE(number, bytes.length - 4);
  return new Uint8Array(bytes);
}

const wit = `package bench:library;
world library {
  export evaluate: func(which: u32, x: f64) -> f64;
  export hash: func(method: u32, number: u32) -> u32;
}`;

/** As the examples in C are built; see there why it is not `-O2` alone. */
const flags = [
  "--target=wasm32-wasi",
  "-Xclang",
  "-O2",
  "-Wall",
  "-Wextra",
  "-Werror",
  "-Wl,--strip-debug,--stack-first,-z,stack-size=65536",
  "-mexec-model=reactor",
];
const libraries = ["-lm", "-lc-printscan-long-double"];
