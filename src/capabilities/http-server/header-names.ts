import { httpServerLimits } from "../../limits.ts";

/**
 * What becomes of a header on its way: its name in lower case where it goes on. `connection`: it is about the
 * connection (RFC 9110, 7.6.1, and what frames a message), and ends here. `forwarded`: what only a proxy may say.
 * `host`: it travels as the authority. `invalid`: it is no name.
 */
export type HeaderName =
  | { readonly type: "passed"; readonly name: string }
  | { readonly type: "connection" | "forwarded" | "host" | "invalid" };

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}$/;
const ofConnection =
  /^(?:connection|expect|http2-settings|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade)$/;
const ofProxy = /^(?:forwarded|x-forwarded-.*|x-real-ip)$/;

const known = new Map<string, HeaderName>();

/** Looks at a name once: the same few come with every request. */
export function headerName(written: string): HeaderName {
  const before = known.get(written);
  if (before !== undefined) return before;
  const found = look(written);
  if (found.type === "invalid") return found;
  // Whoever sends ever new names costs everybody a second look, and no memory.
  if (known.size >= httpServerLimits.headerNamesKnownMax) known.clear();
  known.set(written, found);
  return found;
}

function look(written: string): HeaderName {
  if (!token.test(written)) return { type: "invalid" };
  const name = written.toLowerCase();
  if (name === "host") return { type: "host" };
  if (ofConnection.test(name)) return { type: "connection" };
  return ofProxy.test(name) ? { type: "forwarded" } : { type: "passed", name };
}
