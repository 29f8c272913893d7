import type { ProviderConfig } from "../../actors/provider/provider-kind.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { echo, isId } from "../../src/protocol/ids.ts";

/** A place of the configuration that leads to a guest. */
export interface ConfiguredRoute {
  readonly host?: string;
  readonly path: string;
  readonly target: string;
}

/** Where it listens when nobody says: this machine alone. */
export const defaultListen = "127.0.0.1:8080";

/** Throws INVALID_REQUEST for a configuration that cannot be meant. */
export function checkHttpServer(config: ProviderConfig): void {
  listenOf(config);
  routesOf(config);
  const trust = config["trust-proxy"];
  if (trust !== undefined && trust !== "true" && trust !== "false")
    throw wrong("trust-proxy", `${echo(trust)} is neither`, "Say true or false.");
}

/** `127.0.0.1:8080`, `[::1]:8080`, `0.0.0.0:80`, or a port alone, which is on 127.0.0.1; 0 is any free one. */
export function listenOf({ listen = defaultListen }: ProviderConfig): { host: string; port: number } {
  const [, bracketed, plain, digits] =
    /^(?:(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]/]*)):)?(\d{1,5})$/.exec(listen) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535)
    throw wrong("listen", `${echo(listen)} is not an address`, "Write it like 127.0.0.1:8080 or [::1]:8080.");
  const host = bracketed ?? plain;
  return { host: host === undefined || host === "" ? "127.0.0.1" : host, port };
}

/** The settings `route`, `route.1`, `route.2`, … like `/path=name` or `host/path=name`, in the order of their keys. */
export function routesOf(config: ProviderConfig): ConfiguredRoute[] {
  const keys = Object.keys(config).filter((key) => key === "route" || key.startsWith("route."));
  return keys.toSorted().map((key) => {
    const text = config[key] ?? "";
    const equals = text.lastIndexOf("=");
    const slash = text.indexOf("/");
    const target = text.slice(equals + 1);
    if (equals < 1 || slash < 0 || slash > equals || !isId(target))
      throw wrong(key, `${echo(text)} is not a route`, "Write it like /shop=web or example.org/shop=web.");
    const host = text.slice(0, slash);
    return { ...(host === "" ? {} : { host }), path: text.slice(slash, equals), target };
  });
}

function wrong(key: string, message: string, fix: string): Failure {
  return new Failure("INVALID_REQUEST", `config.${key}: ${message}`, {
    fix,
    details: { fields: [`config.${key}`] },
  });
}
