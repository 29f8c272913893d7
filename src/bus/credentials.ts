import { readFileSync } from "node:fs";
import type { Authenticator } from "nats";
import { credsAuthenticator, nkeyAuthenticator } from "nats";
import { Failure } from "../protocol/errors.ts";

/**
 * Signs in with a credentials file: a user's nkey seed (`SU…`), or a JWT with its seed as `nsc` writes them. The
 * file is read again at each reconnect, so that new credentials need no restart; while it cannot be read the last
 * good ones count. Throws INVALID_REQUEST when it cannot be read at first.
 */
export function authenticatorFrom(credsFile: string): Authenticator {
  let content = read(credsFile);
  return (nonce) => {
    // Throwing here would make the client give up for good.
    try {
      content = read(credsFile);
    } catch {}
    return parse(content)(nonce);
  };
}

function read(credsFile: string): Uint8Array {
  try {
    const content = readFileSync(credsFile);
    parse(content);
    return content;
  } catch (error) {
    throw new Failure("INVALID_REQUEST", `${credsFile} holds no usable credentials`, {
      fix: "Give a file with the seed of a NATS user (`SU…`) or one that `nsc generate creds` wrote.",
      details: { credsFile },
      cause: error,
    });
  }
}

function parse(content: Uint8Array): Authenticator {
  const text = new TextDecoder().decode(content);
  if (text.includes("-----BEGIN NATS USER JWT-----")) return credsAuthenticator(content);
  const seed = /^\s*(SU[A-Z2-7]{56})\s*$/.exec(text)?.[1];
  if (seed === undefined) throw new Error("neither a user's seed nor a JWT");
  return nkeyAuthenticator(new TextEncoder().encode(seed));
}
