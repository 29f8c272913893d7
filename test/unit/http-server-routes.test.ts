import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRoutes } from "../../src/capabilities/http-server/routes.ts";
import type { Route } from "../../src/capabilities/http-server/route-table.ts";
import { httpServerLimits } from "../../src/limits.ts";
import { failureFrom } from "../support/failure-of.ts";
import { virtualClock } from "../support/virtual-clock.ts";
import { routeGrant } from "../integration/http-server-lab.ts";

function table(configured: Route[] = []) {
  const clock = virtualClock(1_000);
  const warnings: object[] = [];
  const routes = createRoutes(
    { lattice: "test", clock, warn: (fields) => void warnings.push(fields) },
    configured,
  );
  const to = (path: string, host = "", method = "GET") => {
    const match = routes.find(host, path, method);
    return match?.type === "target" ? match.subject.split(".")[4] : match?.type;
  };
  return { routes, to, warnings, clock };
}

describe("R5.2: routes of an http-server", () => {
  test("the longest path wins, on the borders of segments", () => {
    const { to } = table([
      { path: "/a", target: "short" },
      { path: "/a/b/", target: "long" },
    ]);
    expect(
      ["/", "/a", "/a/", "/ab", "/a/c", "/a/b", "/a/b/", "/a/b/c", "/a/bc"].map((path) => to(path)),
    ).toEqual([undefined, "short", "short", undefined, "short", "long", "long", "long", "short"]);
  });

  test("a route of the host stands before one of every host, whatever their paths", () => {
    const { to } = table([
      { path: "/a/b", target: "any" },
      { host: "Shop.example", path: "/", target: "shop" },
    ]);
    expect([to("/a/b"), to("/a/b", "shop.example"), to("/a/b", "other.example")]).toEqual([
      "any",
      "shop",
      "any",
    ]);
  });

  test("methods share a path among names, HEAD goes where GET goes, and the others are told what is allowed", () => {
    const { to, routes } = table([
      { path: "/x", methods: ["GET"], target: "reader" },
      { path: "/x", methods: ["POST", "PUT"], target: "writer" },
    ]);
    expect([to("/x"), to("/x", "", "HEAD"), to("/x", "", "PUT")]).toEqual(["reader", "reader", "writer"]);
    expect(routes.find("", "/x/y", "DELETE")).toEqual({ type: "method", allowed: ["GET", "POST", "PUT"] });
  });

  test("R13.5: a route that is wrong is refused and names its field, and so are two rivals", () => {
    const wrong: [Partial<Route>, string][] = [
      [{ path: "no-slash" }, "path"],
      [{ path: "/a?b" }, "path"],
      [{ path: "/a//b" }, "path"],
      [{ path: `/${"a".repeat(2_000)}` }, "path"],
      [{ host: "http://a" }, "host"],
      [{ host: "a:80" }, "host"],
      [{ methods: ["get"] }, "methods"],
      [{ target: "a.b" }, "target"],
    ];
    for (const [part, field] of wrong) {
      const failure = failureFrom(() => table([{ path: "/", target: "a", ...part }]));
      expect([failure.code, failure.details]).toEqual(["INVALID_REQUEST", { field }]);
    }
    const rivals = () => table(["one", "other"].map((target) => ({ path: "/a", target })));
    expect(failureFrom(rivals).code).toBe("INVALID_REQUEST");
  });

  test("R2.3: a grant makes a route, another permission does not, and its end takes the route back", async () => {
    const { routes, to, clock } = table();
    const other = { ...routeGrant("b", { path: "/b" }), permissions: ["kv:read"] };
    routes.granted([routeGrant("a", { path: "/a", methods: "GET, POST" }), other]);
    expect([to("/a"), to("/a", "", "PATCH"), to("/b"), routes.size]).toEqual(["a", "method", undefined, 1]);
    routes.granted([]);
    expect([to("/a"), routes.size]).toEqual(["former", 0]);
    await clock.advance(httpServerLimits.formerRouteMs);
    expect(to("/a")).toBe(undefined);
  });

  test("many instances of a name share one route, which stays until the last of them has gone", () => {
    const { routes, to } = table();
    const two = ["a-1", "a-2"].map((id) => routeGrant("a", {}, id));
    routes.granted(two);
    expect([to("/"), routes.size]).toEqual(["a", 1]);
    routes.granted(two.slice(1));
    expect(to("/")).toBe("a");
  });

  test("a former route is not taken by a shorter one of another guest", () => {
    const { routes, to } = table();
    const site = routeGrant("site");
    routes.granted([site, routeGrant("api", { path: "/api" })]);
    routes.granted([site]);
    expect([to("/api/x"), to("/apis")]).toEqual(["former", "site"]);
    routes.granted([site, routeGrant("api-2", { path: "/api" })]);
    expect(to("/api/x")).toBe("api-2");
  });

  test("of two names with one route the first stays, in whatever order they are told; a warning is logged once", () => {
    const { routes, to, warnings } = table();
    const [a, b] = [routeGrant("a"), routeGrant("b")];
    routes.granted([b]);
    routes.granted([a, b]);
    routes.granted([a, b]);
    expect(to("/")).toBe("b");
    expect(warnings).toEqual([{ host: "", path: "/", target: "a", reason: "it is the route of b already" }]);
    routes.granted([a]);
    expect(to("/")).toBe("a");
  });

  test("a configured route outlives grants and stands before them; a wrong grant is a warning and harms no other", () => {
    const { routes, to, warnings } = table([{ path: "/", target: "fixed" }]);
    routes.granted([routeGrant("a"), routeGrant("bad", { path: "x" }), routeGrant("good", { path: "/g" })]);
    routes.granted([routeGrant("good", { path: "/g" })]);
    expect([to("/"), to("/g")]).toEqual(["fixed", "good"]);
    expect(warnings).toEqual([
      { target: "bad", capabilityId: "web", reason: 'the path of a route is "x"' },
      { host: "", path: "/", target: "a", reason: "it is the route of fixed already" },
    ]);
  });

  const segment = fc.constantFrom("a", "b", "ab");
  const pathOf = (segments: string[]) => `/${segments.join("/")}`;
  const paths = fc.array(segment, { maxLength: 4 }).map(pathOf);

  test("P10: any path goes to the route with the longest prefix of whole segments", () => {
    fc.assert(
      fc.property(fc.uniqueArray(paths, { maxLength: 8 }), paths, (routePaths, path) => {
        const { to } = table(routePaths.map((one, index) => ({ path: one, target: `t${index}` })));
        const fits = routePaths
          .map((one, index) => ({ one, index }))
          .filter(({ one }) => one === "/" || path === one || path.startsWith(`${one}/`))
          .toSorted((one, other) => other.one.length - one.one.length);
        expect(to(path)).toBe(fits[0] === undefined ? undefined : `t${fits[0].index}`);
      }),
      { numRuns: 300 },
    );
  });

  test("P14: after any history of grants there is a route exactly for who is granted and was not too late", () => {
    const holders = fc.array(
      fc.tuple(fc.constantFrom("x", "y", "z"), paths).map(([name, path]) => routeGrant(name, { path })),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(fc.array(holders, { minLength: 1, maxLength: 5 }), (history) => {
        const { routes, to } = table();
        for (const list of history) routes.granted(list);
        for (const { config } of history.at(-1) ?? []) {
          const path = config["path"] ?? "";
          const names = (history.at(-1) ?? [])
            .filter((one) => one.config["path"] === path)
            .map(({ name }) => name);
          expect(names).toContain(to(path));
        }
        for (const { config } of history.flat()) {
          const isGranted = history.at(-1)?.some((one) => one.config["path"] === config["path"]);
          if (!isGranted) expect(to(config["path"] ?? "")).toBe("former");
        }
      }),
      { numRuns: 200 },
    );
  });

  test("a path of thousands of slashes costs no more than the deepest route", () => {
    const { to } = table([{ path: "/a/b", target: "t" }]);
    const path = `/a/b${"/".repeat(8_000)}`;
    const began = performance.now();
    for (let count = 0; count < 1_000; count += 1) to(path);
    expect(performance.now() - began).toBeLessThan(1_000);
    expect(to(path)).toBe("t");
  });
});
