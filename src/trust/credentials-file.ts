import { readFileSync, statSync } from "node:fs";
import { type Credentials, credentialsIn } from "../protocol/credentials.ts";
import { Failure } from "../protocol/errors.ts";

/** A credentials file that was read. */
export interface LoadedCredentials {
  /** Undefined for a plain seed or a JWT, which say neither role nor lattice. */
  readonly credentials: Credentials | undefined;
  /** Whether others than its owner may read it; containers mount secrets so, and it is worth a warning elsewhere. */
  readonly isExposed: boolean;
}

/** Reads a credentials file once; INVALID_REQUEST says why it cannot be used, and never shows what is in it. */
export function loadCredentials(file: string): LoadedCredentials {
  try {
    const text = readFileSync(file, "utf8");
    const isExposed = process.platform !== "win32" && (statSync(file).mode & 0o077) !== 0;
    return { credentials: credentialsIn(text), isExposed };
  } catch (error) {
    if (error instanceof Failure)
      throw new Failure(error.code, `${file}: ${error.message}`, {
        ...(error.fix === undefined ? {} : { fix: error.fix }),
        details: { ...error.details, credsFile: file },
      });
    const code = (error as NodeJS.ErrnoException).code ?? "";
    throw new Failure("INVALID_REQUEST", `the credentials ${file} cannot be read: ${reasons[code] ?? code}`, {
      fix: "Give the file that `wasmatrix auth` wrote: --creds <file> or WASMATRIX_CREDS.",
      details: { credsFile: file },
    });
  }
}

const reasons: Record<string, string> = {
  ENOENT: "there is no such file",
  EACCES: "this user may not read it",
  EISDIR: "it is a directory",
};
