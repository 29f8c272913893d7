import { existsSync } from "node:fs";
import type { Credentials } from "../../src/protocol/credentials.ts";
import { credsFileOf, readAuthDirectory } from "../../src/trust/auth-directory.ts";
import { addIdentity } from "../../src/trust/membership.ts";
import type { Session } from "../session.ts";
import { changeDirectory } from "./change.ts";
import { contextOf } from "./context.ts";
import type { SignInFlags } from "./sign-in.ts";

/**
 * The credentials of a part that was started beside `wasmatrix up`, by the same user and without a word of who it is:
 * those of its id if it has been here before, else new ones, for whoever runs that lattice could make them as well.
 * Undefined where credentials were given, or no `up` of this user runs that server.
 */
export async function joinHere(
  { env, clock }: Pick<Session, "env" | "clock">,
  flags: SignInFlags,
  part: { readonly role: Credentials["role"]; readonly id: string | undefined; readonly idOtherwise: string },
): Promise<string | undefined> {
  if (flags.creds !== undefined || env["WASMATRIX_CREDS"] !== undefined) return undefined;
  const context = contextOf(env, flags.nats, flags.lattice);
  if (context === undefined) return undefined;
  const path = context.authDirectory;
  const { role, id = part.idOtherwise } = part;
  const file = credsFileOf(path, role, id);
  const isKnown = readAuthDirectory(path).known.identities.some((one) => one.role === role && one.id === id);
  if (isKnown && existsSync(file)) return file;
  const hosts = role === "control-plane" ? undefined : ["*"];
  await changeDirectory(clock, path, (directory) => addIdentity(directory, clock, role, id, { hosts }));
  return file;
}
