import { existsSync, readFileSync } from "node:fs";
import { fateOfStranger } from "../../src/bus/strangers.ts";
import type { Clock } from "../../src/clock.ts";
import { authLimits } from "../../src/limits.ts";
import {
  type AuthDirectory,
  authFiles,
  configOf,
  credsFileOf,
  exposedFiles,
} from "../../src/trust/auth-directory.ts";
import { isTaken, urlOf } from "./reload.ts";

/** One thing that was looked at. */
export interface AuthCheck {
  readonly what: string;
  readonly ok: boolean;
  readonly says: string;
}

/** Looks whether a folder and its server do what they are for; changes nothing. */
export async function checkAuth(
  directory: AuthDirectory,
  clock: Clock,
  servers: string = urlOf(directory),
): Promise<AuthCheck[]> {
  const { tls } = directory.known.server;
  const caFile = tls?.ca === undefined ? undefined : { caFile: tls.ca };
  const fates = await Promise.all(servers.split(",").map((server) => fateOfStranger(server, caFile, clock)));
  const checks = [configCheck(directory), modeCheck(directory), expiryCheck(directory, clock)];
  if (fates.every((fate) => fate === "unknown"))
    return [...checks, { what: "server", ok: false, says: `${servers} is not reached` }];
  const isOpen = fates.includes("let in");
  return [
    ...checks,
    {
      what: "strangers",
      ok: !isOpen,
      says: isOpen ? "anybody gets in without credentials: the server uses another configuration" : "refused",
    },
    ...(isOpen ? [] : [await signInCheck(directory, clock, servers)]),
  ];
}

function configCheck(directory: AuthDirectory): AuthCheck {
  const { accounts, config } = authFiles(directory.path);
  const derived = configOf(directory);
  const stale = [
    ...(textOf(accounts) === derived.accounts ? [] : [accounts]),
    ...(textOf(config) === derived.config ? [] : [config]),
  ];
  return {
    what: "configuration",
    ok: stale.length === 0,
    says:
      stale.length === 0
        ? "what the table of subjects and the identities give"
        : `stale: ${stale.join(", ")}; wasmatrix auth refresh writes it anew`,
  };
}

function modeCheck(directory: AuthDirectory): AuthCheck {
  const exposed = exposedFiles(directory);
  const says =
    exposed.length === 0 ? "for their owner alone" : `others may read ${exposed.join(", ")}; chmod go= them`;
  return { what: "files", ok: exposed.length === 0, says };
}

function expiryCheck({ known }: AuthDirectory, clock: Clock): AuthCheck {
  const ending = known.identities.flatMap(({ role, id, certificateUntil }) => {
    const leftMs =
      certificateUntil === undefined ? Number.POSITIVE_INFINITY : Date.parse(certificateUntil) - clock.now();
    return leftMs < authLimits.certificateWarningMs
      ? [`${role} ${id} (${certificateUntil}): wasmatrix auth rotate ${role} ${id}`]
      : [];
  });
  return {
    what: "certificates",
    ok: ending.length === 0,
    says: ending.length === 0 ? "none ends soon" : `ends soon, or has: ${ending.join(", ")}`,
  };
}

/** One after the other: a server is slow with many sign-ins at once. */
async function signInCheck(directory: AuthDirectory, clock: Clock, servers: string): Promise<AuthCheck> {
  const refused: string[] = [];
  const gone: string[] = [];
  for (const { role, id } of directory.known.identities) {
    const file = credsFileOf(directory.path, role, id);
    // A file that was taken to its machine and deleted here is how it should be.
    if (!existsSync(file)) gone.push(`${role} ${id}`);
    else if ((await isTaken(directory, file, clock, servers)) !== true) refused.push(file);
  }
  const all = directory.known.identities.length;
  const elsewhere = gone.length === 0 ? "" : `; not here: ${gone.join(", ")}`;
  return {
    what: "credentials",
    ok: refused.length === 0,
    says:
      refused.length === 0
        ? `${all - gone.length} of ${all} sign in${elsewhere}`
        : `refused: ${refused.join(", ")}; has the server the present accounts.conf?`,
  };
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
