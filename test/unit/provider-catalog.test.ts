import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ProviderOrder } from "../../actors/provider/provider-kind.ts";
import { withoutSecrets } from "../../actors/provider/secrets.ts";
import { providerOrders } from "../../cli/parse/provider-orders.ts";
import { setting, settingFrom } from "../../cli/parse/settings.ts";
import { createCatalog } from "../../cli/providers/catalog.ts";
import { listenOf, routesOf } from "../../cli/providers/http-server-config.ts";
import { systemClock } from "../../src/clock.ts";
import { Failure } from "../../src/protocol/errors.ts";

const nats = { servers: "nats://127.0.0.1:1", name: "test", connectTimeoutMs: 1 };
const catalog = createCatalog({ nats, clock: systemClock });
const resolved = (order: Partial<ProviderOrder>, from = catalog) =>
  from.resolve({ kind: "kv", config: {}, ...order }).then(
    ({ provider, providerType, backend }) => `${provider} ${providerType} ${backend}`,
    (error: Failure) => `${error.code}: ${error.message}`,
  );

describe("the catalogue", () => {
  test("R16: has the kinds of the product with their backends, the first of which is taken unless one is named", async () => {
    expect(catalog.kinds).toEqual([
      { kind: "kv", backends: ["memory", "nats", "redis"] },
      { kind: "http", backends: ["undici"] },
      { kind: "http-server", backends: ["node"] },
      { kind: "messaging", backends: ["nats"] },
      { kind: "blobstore", backends: ["memory", "nats"] },
    ]);
    expect(await resolved({})).toBe("kv kv memory");
    expect(await resolved({ provider: "sessions", backend: "nats" })).toBe("sessions kv nats");
  });

  test.each<[string, Partial<ProviderOrder>, RegExp]>([
    ["a kind", { kind: "smtp" }, /no kind of provider "smtp" here/],
    ["a file", { kind: "module:clock.ts" }, /no kind of provider "module:clock.ts"/],
    ["a backend", { backend: "etcd" }, /kv has no backend "etcd"/],
    ["a name", { provider: "a.b" }, /provider is not a legal id/],
    ["the name of another type", { provider: "http" }, /http is the name of the default provider/],
    ["a setting", { config: { buckets: "1" } }, /no setting "buckets"/],
    ["a storage", { backend: "nats", config: { storage: "tape" } }, /config.storage/],
    ["replicas", { backend: "nats", config: { replicas: "2" } }, /config.replicas/],
    ["a url", { backend: "redis" }, /config.url/],
    ["an address", { kind: "http-server", config: { listen: "here" } }, /config.listen/],
    ["a route", { kind: "http-server", config: { route: "web" } }, /config.route/],
  ])("P18: refuses %s that cannot be had, before anything is done", async (_what, order, message) => {
    const said = await resolved(order);
    expect(said).toMatch(/^INVALID_REQUEST/);
    expect(said).toMatch(message);
  });

  test("never repeats a url that may hold a password", async () => {
    expect(await resolved({ backend: "redis", config: { url: "http://:hunter2@host" } })).not.toContain(
      "hunter2",
    );
  });
});

describe("providers of one's own", () => {
  const folder = () => {
    const directory = mkdtempSync(join(tmpdir(), "provider-modules-"));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    mkdirSync(join(directory, "open"));
    const write = (name: string, text: string) => writeFileSync(join(directory, name), text);
    return { directory, open: join(directory, "open"), write };
  };
  const source = (type: string) =>
    `export const createProvider = async () => ({ providerType: "${type}", call: async () => new Uint8Array(), close: async () => {} });`;

  test("are called like their file, and loaded anew when that has changed", async () => {
    const { open, write } = folder();
    write("open/dice.ts", `${source("dice")}; export const version: number = 1`);
    const own = createCatalog({ nats, clock: systemClock, moduleDirectory: open });
    expect(own.kinds.at(-1)).toEqual({ kind: "module:*", backends: [] });
    expect(await resolved({ kind: "module:dice.ts" }, own)).toBe("dice dice module");
    write("open/dice.ts", `${source("cards")}; export const providerType = "cards"`);
    expect(await resolved({ kind: "module:dice.ts", provider: "mine" }, own)).toBe("mine cards module");
  });

  test("R2.1: are taken from the folder that was named, and from nowhere else", async () => {
    const { directory, open, write } = folder();
    write("outside.ts", source("outside"));
    symlinkSync(join(directory, "outside.ts"), join(open, "link.ts"));
    const own = createCatalog({ nats, clock: systemClock, moduleDirectory: open });
    for (const path of ["../outside.ts", "link.ts", join(directory, "outside.ts"), "none.ts", "", ".", "\0"])
      expect(await resolved({ kind: `module:${path}` }, own)).toMatch(/^INVALID_REQUEST/);
    const named = createCatalog({ nats, clock: systemClock, moduleFiles: [join(directory, "outside.ts")] });
    expect(await resolved({ kind: `module:${join(directory, "outside.ts")}` }, named)).toBe(
      "outside outside module",
    );
    expect(await resolved({ kind: `module:${join(open, "link.ts")}` }, named)).toMatch(/^INVALID_REQUEST/);
  });

  test("are refused with the reason when they cannot be loaded", async () => {
    const { open, write } = folder();
    write("open/empty.ts", "export const nothing = 1");
    write("open/broken.ts", "export const = 1");
    const own = createCatalog({ nats, clock: systemClock, moduleDirectory: open });
    expect(await resolved({ kind: "module:empty.ts" }, own)).toMatch(/does not export `createProvider`/);
    expect(await resolved({ kind: "module:broken.ts" }, own)).toMatch(/^INVALID_REQUEST/);
  });
});

describe("settings", () => {
  test("of where to listen are addresses, or a port of this machine alone", () => {
    const all = ["127.0.0.1:8080", "[::1]:80", "0.0.0.0:1", "8080", ":8080", "localhost:0"];
    expect(all.map((listen) => listenOf({ listen }))).toEqual([
      { host: "127.0.0.1", port: 8080 },
      { host: "::1", port: 80 },
      { host: "0.0.0.0", port: 1 },
      { host: "127.0.0.1", port: 8080 },
      { host: "127.0.0.1", port: 8080 },
      { host: "localhost", port: 0 },
    ]);
    for (const listen of ["", "x", "a:b", "1:2:3", "127.0.0.1:65536", "http://a:1"])
      expect(() => listenOf({ listen })).toThrow(/config.listen/);
  });

  test("of routes are many, in the order of their keys", () => {
    const given = ["route=/=web", "route=shop.example/=shop", "route=/a=b/c=api", "health-path=/up"];
    const config = given.reduce((before, text) => setting(text, before), {});
    expect(routesOf(config)).toEqual([
      { path: "/", target: "web" },
      { host: "shop.example", path: "/", target: "shop" },
      { path: "/a=b/c", target: "api" },
    ]);
  });

  test("come from the environment where they are secret", () => {
    expect(settingFrom({ REDIS: "redis://x" })("url=REDIS")).toEqual({ url: "redis://x" });
    expect(() => settingFrom({})("url=REDIS")).toThrow(/no variable REDIS/);
  });

  test("of several providers begin with the kind that they are for", () => {
    const flags = {
      backend: { kv: "nats" },
      config: { "http-server.listen": "0", "http-server.route": "/=web", "kv.storage": "memory" },
    };
    expect(providerOrders(["kv", "http-server", "./clock.ts"], flags)).toEqual([
      { kind: "kv", backend: "nats", config: { storage: "memory" } },
      { kind: "http-server", config: { listen: "0", route: "/=web" } },
      { kind: `module:${resolve("clock.ts")}`, config: {} },
    ]);
    expect(
      providerOrders(["kv"], { name: "sessions", backend: { nats: "" }, config: { replicas: "3" } }),
    ).toEqual([{ kind: "kv", provider: "sessions", backend: "nats", config: { replicas: "3" } }]);
    for (const wrong of [
      { name: "x" },
      { config: { storage: "file" } },
      { backend: { nats: "" } },
      { backend: { smtp: "x" } },
    ])
      expect(() => providerOrders(["kv", "http"], wrong)).toThrow(Failure);
    expect(() => providerOrders(["kv", "kv"], {})).toThrow(/twice/);
  });
});

test("R16: for any secret of a configuration, no failure that is shown holds it", () => {
  const secret = fc.stringMatching(/^[A-Za-z0-9!*'()_.~-]{4,20}$/);
  fc.assert(
    fc.property(
      secret,
      secret,
      fc.constantFrom("password", "API_TOKEN", "client-secret", "creds", "apikey"),
      (one, two, key) => {
        const url = `redis://user:${encodeURIComponent(two)}@host:6379/0`;
        const config = { [key]: one, url, zone: "eu" };
        const error = new Failure("COMMUNICATION_FAILURE", `cannot reach ${url} with ${one} (${two}) in eu`, {
          fix: `try ${one}`,
          details: { url },
          cause: new Error(url),
        });
        const shown = withoutSecrets(error, config);
        for (const text of [shown.message, shown.fix ?? "", JSON.stringify(shown.details ?? {})])
          for (const hidden of [one, two]) expect(text).not.toContain(hidden);
        expect([shown.code, shown.cause, shown.details]).toEqual([
          "COMMUNICATION_FAILURE",
          undefined,
          undefined,
        ]);
        expect(withoutSecrets(new Error(`bad ${one}`), config)).toMatchObject({
          code: "PROVIDER_UNAVAILABLE",
          message: "bad …",
        });
      },
    ),
    { numRuns: 200 },
  );
});
