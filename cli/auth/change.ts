import { rmSync } from "node:fs";
import { type Clock, delay } from "../../src/clock.ts";
import { authLimits } from "../../src/limits.ts";
import { Failure } from "../../src/protocol/errors.ts";
import {
  type AuthDirectory,
  authFiles,
  credsFileOf,
  readAuthDirectory,
  withLock,
} from "../../src/trust/auth-directory.ts";
import { type Change, writeChange } from "../../src/trust/membership.ts";
import { type Reloaded, reloadServer } from "./reload.ts";

/** What is to be seen of a change once it is made. */
export interface Made {
  readonly directory: AuthDirectory;
  /** Credentials files that are new or have changed. */
  readonly written: readonly string[];
  readonly server: Reloaded;
}

/** Changes a folder, and has its server count that where it runs on this machine. */
export async function changeDirectory(
  clock: Clock,
  path: string,
  change: (directory: AuthDirectory) => Change,
): Promise<Made> {
  const made = await inTurn(clock, path, () => {
    const result = change(readAuthDirectory(path));
    writeChange(result);
    return result;
  });
  const written = made.written.map(({ role, id }) => credsFileOf(path, role, id));
  const tried = written[0] ?? made.removed[0];
  const expected = tried === undefined ? undefined : { credsFile: tried, isTaken: written.length > 0 };
  const server = await reloadServer(made.directory, clock, expected);
  // Not before: that they are refused can only be tried as long as they are there.
  for (const file of made.removed) rmSync(file, { force: true });
  return { directory: made.directory, written, server };
}

/** Others hold a folder for some ms: parts that are started together each make an identity. */
async function inTurn<Result>(clock: Clock, path: string, work: () => Result): Promise<Result> {
  const until = clock.now() + authLimits.lockWaitMs;
  for (;;) {
    try {
      return withLock(path, work);
    } catch (error) {
      const isHeld = error instanceof Failure && error.code === "RESOURCE_EXHAUSTED";
      if (!isHeld || clock.now() >= until) throw error;
    }
    await delay(clock, authLimits.reloadLookMs);
  }
}

/** What a person has to do about the server after a change. */
export function serverText({ path }: AuthDirectory, server: Reloaded): string {
  if (server === "counts") return "the server counts it from now on";
  const { config, accounts } = authFiles(path);
  if (server === "not confirmed")
    return `the server was told, and does not count it yet; see its log, and nats-server -t -c ${config}`;
  return `no server runs here with it: start one (nats-server -c ${config}), or bring ${accounts} to those that run and reload them (nats-server --signal reload)`;
}
