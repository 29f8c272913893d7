import { directoryLimits } from "../limits.ts";
import { Failure } from "../protocol/errors.ts";

/**
 * The origins in a list such as `http://a:2379,https://b:2379`. INVALID_REQUEST for anything else; the message never
 * repeats what was given, for it may hold a password.
 */
export function etcdEndpoints(list: string): string[] {
  const endpoints = list.split(",").map((text, index) => originOf(text.trim(), index + 1));
  if (endpoints.length > directoryLimits.endpointsMax)
    throw refused(`there are more than ${directoryLimits.endpointsMax} addresses of etcd`);
  return [...new Set(endpoints)];
}

function originOf(text: string, position: number): string {
  const what = `address ${position} of etcd`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:"))
    throw refused(`${what} is not an http:// or https:// URL`);
  // Whoever can list the processes of a machine reads the flags of all of them.
  if (url.username !== "" || url.password !== "")
    throw refused(
      `${what} holds a user or a password, which are not taken`,
      "Leave them out; let a network of its own, or TLS, protect etcd.",
    );
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "")
    throw refused(`${what} has more than a host and a port`);
  return url.origin;
}

function refused(
  message: string,
  fix = "Give it like --etcd http://127.0.0.1:2379, several with commas.",
): Failure {
  return new Failure("INVALID_REQUEST", message, { fix, details: { fields: ["etcd"] } });
}
