import { readFile, stat } from "node:fs/promises";
import { moduleLimits } from "../src/limits.ts";
import { Failure } from "../src/protocol/errors.ts";

/** The bytes of a module's file. INVALID_REQUEST when it cannot be read, INVALID_MODULE when it is too large to be one. */
export async function readModule(file: string): Promise<Uint8Array<ArrayBuffer>> {
  const { size } = await stat(file).catch((error: Error) => {
    throw unreadable(file, error);
  });
  if (size > moduleLimits.moduleBytesMax)
    throw new Failure(
      "INVALID_MODULE",
      `${file} has ${size} bytes, a module at most ${moduleLimits.moduleBytesMax}`,
      { fix: "Strip debug sections (wasm-opt --strip-debug), or split the guest." },
    );
  return new Uint8Array(
    await readFile(file).catch((error: Error) => {
      throw unreadable(file, error);
    }),
  );
}

function unreadable(file: string, error: Error): Failure {
  return new Failure("INVALID_REQUEST", `cannot read ${file}: ${error.message}`, {
    fix: "Give the path of a .wasm file, sha256:… of a module that the lattice holds, or oci://registry/name:tag.",
  });
}
