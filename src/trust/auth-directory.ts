import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { z } from "zod";
import { messageLimits } from "../limits.ts";
import { KeyText } from "../protocol/credentials.ts";
import { Failure } from "../protocol/errors.ts";
import { Identities, type ServerSettings } from "./identities.ts";
import { generateKeyPair, type KeyPair } from "./keys.ts";
import { accountsConfig, serverConfig } from "./server-config.ts";

/** `secrets.json`: what may say who is a control plane, and what servers of one cluster know each other by. */
const Secrets = z.strictObject({
  version: z.literal(1),
  roots: z
    .array(z.strictObject({ seed: KeyText, key: KeyText }))
    .min(1)
    .max(messageLimits.trustRootsMax),
  routePassword: z.string(),
});
type Secrets = z.infer<typeof Secrets>;

/** A folder of `wasmatrix auth`, as it was read. */
export interface AuthDirectory {
  readonly path: string;
  readonly known: Identities;
  readonly secrets: Secrets;
}

/** The files in a folder of `wasmatrix auth`. */
export function authFiles(path: string) {
  return {
    identities: join(path, "identities.json"),
    secrets: join(path, "secrets.json"),
    config: join(path, "nats.conf"),
    accounts: join(path, "accounts.conf"),
    pid: join(path, "nats-server.pid"),
    creds: join(path, "creds"),
  };
}

/** Where the credentials of an identity are. */
export function credsFileOf(path: string, role: string, id: string): string {
  return join(authFiles(path).creds, `${role}-${id}.json`);
}

/** Whether there is such a folder. */
export function isAuthDirectory(path: string): boolean {
  return existsSync(authFiles(path).identities);
}

/** A new folder, not written yet, with a root and nobody who may sign in; INVALID_REQUEST where there is one already. */
export function newAuthDirectory(path: string, lattice: string, server: ServerSettings): AuthDirectory {
  if (isAuthDirectory(path))
    throw new Failure("INVALID_REQUEST", `${path} holds the identities of a lattice already`, {
      fix: "Use that one (wasmatrix auth list), or give another --dir.",
    });
  const root: KeyPair = generateKeyPair();
  return {
    path,
    known: { version: 1, lattice, server, roots: [root.key], identities: [] },
    secrets: { version: 1, roots: [root], routePassword: randomBytes(24).toString("base64url") },
  };
}

/** Reads a folder; INVALID_REQUEST where there is none, or somebody broke it. */
export function readAuthDirectory(path: string): AuthDirectory {
  const files = authFiles(path);
  return { path, known: read(files.identities, Identities), secrets: read(files.secrets, Secrets) };
}

/** Writes who there is, and the server's configuration that follows from it; each file whole or not at all. */
export function writeAuthDirectory({ path, known, secrets }: AuthDirectory): void {
  const files = authFiles(path);
  mkdirSync(files.creds, { recursive: true, mode: 0o700 });
  chmodSync(path, 0o700);
  mkdirSync(known.server.store, { recursive: true, mode: 0o700 });
  writeWhole(files.secrets, json(secrets), 0o600);
  writeWhole(files.identities, json(known), 0o600);
  const { accounts, config } = configOf({ path, known, secrets });
  writeWhole(files.accounts, accounts, 0o600);
  writeWhole(files.config, config, 0o600);
}

/** The server's configuration that follows from who there is. */
export function configOf({ path, known, secrets }: AuthDirectory): { accounts: string; config: string } {
  const { routePassword } = secrets;
  return {
    accounts: accountsConfig(known),
    config: serverConfig(known, { pidFile: authFiles(path).pid, routePassword }),
  };
}

/** Files of the folder that others than their owner may read. */
export function exposedFiles({ path, known }: AuthDirectory): string[] {
  const files = authFiles(path);
  const creds = known.identities.map(({ role, id }) => credsFileOf(path, role, id));
  return [path, files.secrets, files.config, ...creds].filter(
    (file) => existsSync(file) && (statSync(file).mode & 0o077) !== 0,
  );
}

/** Does something to a folder while nobody else does; RESOURCE_EXHAUSTED where somebody else is at it. */
export function withLock<Result>(path: string, work: () => Result): Result {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const lock = join(path, "lock");
  if (!take(lock)) {
    throw new Failure("RESOURCE_EXHAUSTED", `another wasmatrix changes ${path} now`, {
      fix: `Try again; if none runs, remove ${lock}.`,
      retry: "later",
    });
  }
  try {
    return work();
  } finally {
    rmSync(lock, { force: true });
  }
}

function take(lock: string): boolean {
  const hold = () => {
    try {
      writeFileSync(lock, String(process.pid), { flag: "wx", mode: 0o600 });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      return false;
    }
  };
  if (hold()) return true;
  // Whoever died with it in hand left it behind.
  const holder = Number(existsSync(lock) ? readFileSync(lock, "utf8") : "0");
  if (Number.isInteger(holder) && holder > 0 && isAlive(holder)) return false;
  rmSync(lock, { force: true });
  return hold();
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Replaces a file by one step, so that a process that reads it at that moment gets the old one or the new one. */
export function writeWhole(file: string, text: string, mode: number): void {
  const temporary = `${file}.${process.pid}.tmp`;
  rmSync(temporary, { force: true });
  writeFileSync(temporary, text, { mode });
  renameSync(temporary, file);
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}

function read<Value>(file: string, schema: z.ZodType<Value>): Value {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new Failure(
      "INVALID_REQUEST",
      `${file} cannot be read: ${code === "ENOENT" ? "there is none" : code}`,
      {
        fix: "Make one (wasmatrix auth init), or say where it is: --dir <folder>.",
      },
    );
  }
  const parsed = schema.safeParse(parse(text));
  if (parsed.success) return parsed.data;
  // Its values may be secrets: the places that are wrong must do.
  const fields = parsed.error.issues.slice(0, 5).map((issue) => issue.path.join("."));
  throw new Failure("INVALID_REQUEST", `${file} is broken at ${fields.join(", ") || "its beginning"}`, {
    fix: "Put back a copy of the folder, or make a new one and give everybody new credentials.",
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
