import type { Clock } from "../../clock.ts";
import { httpServerLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";
import type { GrantHolder } from "../capability.ts";
import {
  areRivals,
  type KnownRoute,
  knownRoute,
  type Match,
  type Route,
  type RouteTable,
  routeTable,
} from "./route-table.ts";

/** The routes of one server: those of its configuration, and those of the grants that there are now. */
export interface Routes {
  readonly size: number;
  /** What a request to that host (lower case, no port) and path (no query) meets; undefined where there is no route. */
  find(host: string, path: string, method: string): Match | undefined;
  /** The grants are these from now on. A route that cannot be is a warning, once, and left out; never throws. */
  granted(holders: readonly GrantHolder[]): void;
}

/** Where routes live, and who hears of what is wrong with one. */
export interface RoutesWorld {
  readonly lattice: string;
  readonly clock: Clock;
  readonly warn: (fields: object, message: string) => void;
}

const permission = "http-server:serve";

/** Routes that begin with those of the configuration. Throws INVALID_REQUEST when they are wrong, or rivals. */
export function createRoutes(world: RoutesWorld, configured: readonly Route[]): Routes {
  const fixed = configured.map((route) => knownRoute(world.lattice, route));
  const rival = fixed.find((one) => fixed.some((other) => areRivals(one, other)));
  if (rival !== undefined) {
    throw new Failure("INVALID_REQUEST", `several routes lead from ${rival.place}/ to different names`, {
      fix: "Give one of them another host, path or methods.",
    });
  }
  const warnOnce = oncePerText(world.warn);
  let current: readonly KnownRoute[] = fixed;
  let former: readonly FormerRoute[] = [];
  let table: RouteTable = routeTable(current, former);
  return {
    get size() {
      return current.length;
    },
    find: (host, path, method) => table.find(host, path, method, world.clock.now()),
    granted(holders) {
      const wanted = wantedRoutes(world.lattice, holders, warnOnce);
      // Those that stand come first, so that nobody takes the place of one who is still there.
      const standing = current.filter(({ key }) => wanted.delete(key));
      const next = withoutRivals([...new Set([...fixed, ...standing, ...wanted.values()])], warnOnce);
      former = formerRoutes(former, current, next, world.clock.now());
      current = next;
      table = routeTable(current, former);
    },
  };
}

type Warn = RoutesWorld["warn"];

interface FormerRoute {
  readonly route: KnownRoute;
  readonly untilMs: number;
}

/** The routes of grants by key; many instances share one. */
function wantedRoutes(lattice: string, holders: readonly GrantHolder[], warn: Warn): Map<string, KnownRoute> {
  const wanted = new Map<string, KnownRoute>();
  for (const { name, capabilityId, permissions, config } of holders) {
    if (!permissions.includes(permission)) continue;
    const { host, path = "/", methods } = config;
    try {
      const route = knownRoute(lattice, {
        path,
        target: name,
        ...(host === undefined ? {} : { host }),
        ...(methods === undefined ? {} : { methods: methods.split(",").map((one) => one.trim()) }),
      });
      wanted.set(route.key, route);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      warn({ target: name, capabilityId, reason }, "a route of a grant is left out");
    }
  }
  return wanted;
}

/** The first of those that would meet the same requests; what is left out gets its place when the first goes. */
function withoutRivals(routes: readonly KnownRoute[], warn: Warn): KnownRoute[] {
  const byPlace = new Map<string, KnownRoute[]>();
  const kept: KnownRoute[] = [];
  for (const route of routes) {
    const { host, path, target, place } = route;
    const there = byPlace.get(place) ?? [];
    const rival = there.find((one) => areRivals(one, route));
    const isFull = kept.length >= httpServerLimits.routesMax;
    if (rival !== undefined || isFull) {
      const reason = isFull ? "there are too many routes" : `it is the route of ${rival?.target} already`;
      warn({ host, path: `${path}/`, target, reason }, "a route of a grant is left out");
      continue;
    }
    byPlace.set(place, [...there, route]);
    kept.push(route);
  }
  return kept;
}

/** What went just now and what went before, as far as nobody has taken its place and its time is not over. */
function formerRoutes(
  before: readonly FormerRoute[],
  from: readonly KnownRoute[],
  to: readonly KnownRoute[],
  nowMs: number,
): FormerRoute[] {
  const taken = new Set(to.map(({ place }) => place));
  const untilMs = nowMs + httpServerLimits.formerRouteMs;
  const gone = from.map((route) => ({ route, untilMs }));
  const byPlace = new Map([...before, ...gone].map((one) => [one.route.place, one]));
  return [...byPlace.values()]
    .filter((one) => !taken.has(one.route.place) && one.untilMs > nowMs)
    .slice(-httpServerLimits.formerRoutesMax);
}

/** Grants are told again and again; what is wrong with one is said once. */
function oncePerText(warn: Warn): Warn {
  const said = new Set<string>();
  return (fields, message) => {
    const text = JSON.stringify(fields);
    if (said.has(text)) return;
    // To say it again is better than a list without end.
    if (said.size >= httpServerLimits.routesMax) said.clear();
    said.add(text);
    warn(fields, message);
  };
}
