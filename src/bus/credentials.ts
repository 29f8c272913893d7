import { readFileSync } from "node:fs";
import type { Authenticator } from "nats";
import { credsAuthenticator, nkeyAuthenticator } from "nats";
import { credentialsIn, inboxPrefixOf } from "../protocol/credentials.ts";
import { Failure } from "../protocol/errors.ts";

/** Which of the users in a credentials file: its identity on the lattice, or what it does outside. */
export type CredentialsUser = "nats" | "application";

/**
 * Signs in with a credentials file: one of `wasmatrix auth`, a user's nkey seed (`SU…`), or a JWT with its seed as
 * `nsc` writes them. The file is read again at each reconnect, so that new credentials need no restart; while it
 * cannot be read the last good ones count. Throws INVALID_REQUEST when it cannot be read at first.
 */
export function authenticatorFrom(credsFile: string, user: CredentialsUser = "nats"): Authenticator {
  let content = read(credsFile, user);
  return (nonce) => {
    // Throwing here would make the client give up for good.
    try {
      content = read(credsFile, user);
    } catch {}
    return parse(content, user)(nonce);
  };
}

/** The part of the inboxes that belongs to whoever that file says; undefined where it does not say. */
export function inboxPrefixIn(
  credsFile: string | undefined,
  user: CredentialsUser = "nats",
): string | undefined {
  if (credsFile === undefined) return undefined;
  const credentials = credentialsIn(new TextDecoder().decode(read(credsFile, user)));
  if (credentials === undefined) return undefined;
  return inboxPrefixOf(user === "application" ? user : credentials.role, credentials.id);
}

function read(credsFile: string, user: CredentialsUser): Uint8Array {
  try {
    const content = readFileSync(credsFile);
    // A seed with a letter changed shows only in a signature.
    parse(content, user)("");
    return content;
  } catch (error) {
    throw new Failure("INVALID_REQUEST", `${credsFile} holds no usable credentials`, {
      fix: "Give a file of `wasmatrix auth`, one with the seed of a NATS user (`SU…`), or one that `nsc generate creds` wrote.",
      details: { credsFile },
      cause: error,
    });
  }
}

function parse(content: Uint8Array, user: CredentialsUser): Authenticator {
  const text = new TextDecoder().decode(content);
  const credentials = credentialsIn(text);
  if (credentials !== undefined) {
    const own = credentials[user];
    if (own === undefined) throw new Error(`no user for ${user} in it`);
    return nkeyAuthenticator(new TextEncoder().encode(own));
  }
  if (text.includes("-----BEGIN NATS USER JWT-----")) return credsAuthenticator(content);
  const seed = /^\s*(SU[A-Z2-7]{56})\s*$/.exec(text)?.[1];
  if (seed === undefined) throw new Error("neither credentials, nor a user's seed, nor a JWT");
  return nkeyAuthenticator(new TextEncoder().encode(seed));
}
