import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";

/** What `wasmatrix up` leaves for the other commands of its user, so that they need no flags. */
const Context = z.strictObject({
  /** The credentials of the operator. */
  creds: z.string(),
  lattice: z.string(),
  /** The folder of `wasmatrix auth` that they are from. */
  authDirectory: z.string(),
  /** The process of `up`: what one that was killed left is of no use. */
  pid: z.int().positive(),
});
export type Context = z.infer<typeof Context>;

/** Where wasmatrix keeps what outlasts its processes, by the XDG base directory specification. */
export function stateHome(env: NodeJS.ProcessEnv): string {
  return join(env["XDG_STATE_HOME"] ?? join(homedir(), ".local", "state"), "wasmatrix");
}

/** Leaves a context for the server at that URL. */
export function leaveContext(env: NodeJS.ProcessEnv, url: string, context: Context): void {
  const file = contextFile(env, url);
  if (file === undefined) return;
  mkdirSync(join(stateHome(env), "contexts"), { recursive: true, mode: 0o700 });
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify(context, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(temporary, file);
}

/** Takes away what was left for that server, unless another lattice has left something meanwhile. */
export function forgetContext(env: NodeJS.ProcessEnv, url: string, authDirectory: string | undefined): void {
  const file = contextFile(env, url);
  if (file === undefined) return;
  if (authDirectory === undefined || read(file)?.authDirectory === authDirectory)
    rmSync(file, { force: true });
}

/** What was left for the first of those servers; undefined where that is for another lattice than the one wanted. */
export function contextOf(
  env: NodeJS.ProcessEnv,
  servers: string,
  lattice: string | undefined,
): Context | undefined {
  const file = contextFile(env, servers.split(",")[0] ?? "");
  const context = file === undefined ? undefined : read(file);
  if (context === undefined || !isAlive(context.pid)) return undefined;
  return lattice === undefined || context.lattice === lattice ? context : undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function read(file: string): Context | undefined {
  try {
    return Context.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    // None, or one of a newer version: then there is nothing to be found by itself.
    return undefined;
  }
}

/** Only servers of this machine have one: `localhost` and 127.0.0.1 are the same. */
function contextFile(env: NodeJS.ProcessEnv, url: string): string | undefined {
  const text = url.includes("://") ? url : `nats://${url}`;
  if (!URL.canParse(text)) return undefined;
  const { hostname, port } = new URL(text);
  if (!["localhost", "127.0.0.1", "[::1]"].includes(hostname)) return undefined;
  return join(stateHome(env), "contexts", `localhost-${port === "" ? "4222" : port}.json`);
}
