import { httpServerLimits } from "../../limits.ts";
import { subjectFor } from "../../protocol/addresses.ts";
import { Failure } from "../../protocol/errors.ts";
import { echo } from "../../protocol/ids.ts";

/** Which requests go to whom. */
export interface Route {
  /** Without a port, in any case; every host where there is none. */
  readonly host?: string;
  /** All below it belongs to it, on the borders of segments: `/a` is `/a` and `/a/b`, not `/ab`. */
  readonly path: string;
  /** Every method where there are none. */
  readonly methods?: readonly string[];
  /** The name that instances share, or the id of one. */
  readonly target: string;
}

/** A route that was checked. */
export interface KnownRoute {
  /** In lower case; `""` is every host. */
  readonly host: string;
  /** `""` is the root. */
  readonly path: string;
  readonly methods: ReadonlySet<string> | undefined;
  readonly target: string;
  /** Host and path, to compare. */
  readonly place: string;
  /** All of it, to compare. */
  readonly key: string;
  /** Where its guest is asked. */
  readonly subject: string;
}

/** What a request meets: whom to ask, that another method is meant, or that nobody is there any more. */
export type Match =
  | { readonly type: "target"; readonly subject: string }
  | { readonly type: "method"; readonly allowed: readonly string[] }
  | { readonly type: "former" };

/** Routes to look up; never changed. */
export interface RouteTable {
  /** What a request to that host (lower case, no port) and path (no query) meets; undefined where there is no route. */
  find(host: string, path: string, method: string, nowMs: number): Match | undefined;
}

/** What stands at one host and path. */
interface Place {
  readonly routes: KnownRoute[];
  /** Nobody is here any more, but until then that may pass. */
  formerUntilMs: number;
}

const hostPattern = /^(?:\[[0-9a-f:.]+\]|[a-z0-9._-]{1,253})$/;
const pathPattern = /^(?:\/[!-"$-.0->@-[\]-~]+)*$/;
const methodPattern = /^[A-Z]{1,32}$/;

/** Checks a route. Throws INVALID_REQUEST that names the field. */
export function knownRoute(lattice: string, { host = "", path, methods, target }: Route): KnownRoute {
  const lower = host.toLowerCase();
  if (lower !== "" && !hostPattern.test(lower))
    throw wrong("host", host, "a host name without scheme and port");
  const bare = path.endsWith("/") ? path.slice(0, -1) : path;
  if (
    !path.startsWith("/") ||
    bare.length > httpServerLimits.routePathCharactersMax ||
    !pathPattern.test(bare)
  )
    throw wrong("path", path, "a path that begins with / and has no query, empty segment or space");
  for (const method of methods ?? [])
    if (!methodPattern.test(method)) throw wrong("methods", method, "methods in capitals");
  const sorted = methods === undefined || methods.length === 0 ? undefined : [...methods].sort();
  const place = `${lower}${bare}`;
  return {
    host: lower,
    path: bare,
    methods: sorted === undefined ? undefined : new Set(sorted),
    target,
    place,
    key: `${place} ${sorted?.join(",") ?? "*"} ${target}`,
    subject: subjectFor("call", { lattice, target, operation: "http-request" }),
  };
}

/** Whether a request could meet both, and they have different targets. */
export function areRivals(one: KnownRoute, other: KnownRoute): boolean {
  if (one.place !== other.place || one.target === other.target) return false;
  const { methods } = one;
  return methods === undefined || other.methods === undefined || !methods.isDisjointFrom(other.methods);
}

/** Makes the table. A place of `former` with its time is one of which the last route went, or none. */
export function routeTable(
  routes: readonly KnownRoute[],
  former: Iterable<{ readonly route: KnownRoute; readonly untilMs: number }>,
): RouteTable {
  const hosts = new Map<string, Map<string, Place>>();
  let segmentsMax = 0;
  const placeOf = ({ host, path }: KnownRoute): Place => {
    segmentsMax = Math.max(segmentsMax, path.split("/").length - 1);
    const places = hosts.get(host) ?? new Map<string, Place>();
    hosts.set(host, places);
    const place = places.get(path) ?? { routes: [], formerUntilMs: 0 };
    places.set(path, place);
    return place;
  };
  for (const route of routes) placeOf(route).routes.push(route);
  for (const { route, untilMs } of former) placeOf(route).formerUntilMs = untilMs;
  return {
    find(host, path, method, nowMs) {
      // No deeper than the deepest route, or a path of thousands of slashes would be cut thousands of times.
      const prefix = firstSegments(path, segmentsMax);
      return findIn(hosts.get(host), prefix, method, nowMs) ?? findIn(hosts.get(""), prefix, method, nowMs);
    },
  };
}

function findIn(
  places: ReadonlyMap<string, Place> | undefined,
  path: string,
  method: string,
  nowMs: number,
): Match | undefined {
  if (places === undefined) return undefined;
  for (let prefix = path; ; prefix = prefix.slice(0, Math.max(0, prefix.lastIndexOf("/")))) {
    const place = places.get(prefix);
    const match = place === undefined ? undefined : matchOf(place, method, nowMs);
    if (match !== undefined || prefix === "") return match;
  }
}

function matchOf({ routes, formerUntilMs }: Place, method: string, nowMs: number): Match | undefined {
  for (const { methods, subject } of routes) {
    if (methods === undefined || methods.has(method) || (method === "HEAD" && methods.has("GET")))
      return { type: "target", subject };
  }
  if (formerUntilMs > nowMs) return { type: "former" };
  if (routes.length === 0) return undefined;
  return { type: "method", allowed: [...new Set(routes.flatMap((route) => [...(route.methods ?? [])]))] };
}

function firstSegments(path: string, count: number): string {
  let end = 0;
  for (let segment = 0; segment < count; segment += 1) {
    end = path.indexOf("/", end + 1);
    if (end === -1) return path;
  }
  return path.slice(0, end);
}

function wrong(field: string, value: string, what: string): Failure {
  return new Failure("INVALID_REQUEST", `the ${field} of a route is ${echo(value)}`, {
    fix: `Give ${what}.`,
    details: { field },
  });
}
