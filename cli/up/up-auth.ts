import { join } from "node:path";
import { Failure } from "../../src/protocol/errors.ts";
import {
  authFiles,
  type AuthDirectory,
  credsFileOf,
  isAuthDirectory,
  readAuthDirectory,
  withLock,
  writeAuthDirectory,
} from "../../src/trust/auth-directory.ts";
import { forgetContext, leaveContext } from "../auth/context.ts";
import { makeDirectory } from "../auth/init.ts";
import { urlOf } from "../auth/reload.ts";
import type { Session } from "../session.ts";

/** Who the parts of a lattice on this machine are, and how its server is told. */
export interface UpAuth {
  readonly directory: AuthDirectory;
  readonly url: string;
  readonly config: string;
  /** The credentials of one of them. */
  credsFile(role: "operator" | "control-plane" | "node" | "provider"): string;
}

const idsOfParts = {
  operator: "operator",
  "control-plane": "cp-1",
  node: "node-1",
  provider: "providers-1",
} as const;

/**
 * Makes the identities of a lattice on this machine, or uses those that its state directory has, with a server on that
 * port. Its parts are all of one user, so that any of them may host any provider.
 */
export function prepareAuth(session: Session, state: string, port: number): UpAuth {
  const path = join(state, "auth");
  const server = { host: "127.0.0.1", port, store: join(state, "jetstream") };
  const directory = isAuthDirectory(path)
    ? movedTo(path, session.lattice, server)
    : makeDirectory(session, path, server, { hostsOfNode: ["*"], hostsOfProvider: ["*"] });
  return {
    directory,
    url: urlOf(directory),
    config: authFiles(path).config,
    credsFile: (role) => credsFileOf(path, role, idsOfParts[role]),
  };
}

/** Leaves a word for the other commands of this user; the function returned takes it back. */
export function announceAuth(session: Session, url: string, auth: UpAuth | undefined): () => void {
  const { env, lattice } = session;
  if (auth === undefined) {
    forgetContext(env, url, undefined);
    return () => undefined;
  }
  const authDirectory = auth.directory.path;
  leaveContext(env, url, { creds: auth.credsFile("operator"), lattice, authDirectory, pid: process.pid });
  return () => forgetContext(env, url, authDirectory);
}

function movedTo(
  path: string,
  lattice: string,
  server: { host: string; port: number; store: string },
): AuthDirectory {
  return withLock(path, () => {
    const found = readAuthDirectory(path);
    if (found.known.lattice !== lattice)
      throw new Failure("INVALID_REQUEST", `${path} holds the identities of lattice ${found.known.lattice}`, {
        fix: `Run that one (--lattice ${found.known.lattice}), or give another --state.`,
      });
    // Everything else in it may have been set by hand: TLS, a cluster.
    const directory = { ...found, known: { ...found.known, server: { ...found.known.server, ...server } } };
    writeAuthDirectory(directory);
    return directory;
  });
}
