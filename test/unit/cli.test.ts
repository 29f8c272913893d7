import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { grantOf } from "../../cli/parse/grant.ts";
import { restartOf } from "../../cli/parse/restart.ts";
import { bytesOf, keyValue, msOf } from "../../cli/parse/usage.ts";
import { createProgram } from "../../cli/program.ts";
import { paintFor } from "../../cli/render/paint.ts";
import { factLine } from "../../cli/render/fact.ts";
import { ago, size } from "../../cli/render/quantities.ts";
import type { Bus } from "../../src/bus/bus.ts";
import { serve } from "../../src/bus/serve.ts";
import { clientOn } from "../../src/client/client.ts";
import { systemClock } from "../../src/clock.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { subjectsMarkdown } from "../../scripts/write-subjects.ts";
import { startMemoryServer } from "../support/memory-bus.ts";

const plain = paintFor(false, {});

async function run(args: readonly string[], listen: (bus: Bus) => void = () => {}) {
  const server = startMemoryServer();
  const there = server.connect();
  listen(there);
  const out: string[] = [];
  const errors: string[] = [];
  let code = 0;
  const program = createProgram({
    env: {},
    clock: systemClock,
    paint: plain,
    errorPaint: plain,
    write: (text) => void out.push(typeof text === "string" ? text : Buffer.from(text).toString()),
    writeError: (text) => void errors.push(text),
    readInput: async () => new Uint8Array(Buffer.from("from stdin")),
    ended: new AbortController().signal,
    connect: async ({ servers, lattice }) => {
      if (String(servers).includes("nowhere"))
        throw new Failure("COMMUNICATION_FAILURE", "no connection", { fix: "start it" });
      return clientOn(server.connect(), lattice);
    },
    exit: (given) => void (code = given),
  });
  await program.parseAsync(["node", "wasmatrix", ...args]).catch(() => undefined);
  await there.close();
  return { code, out: out.join(""), errors: errors.join("") };
}

describe("exit codes", () => {
  test("1 with code and fix on stderr when a command fails", async () => {
    expect(await run(["nodes"])).toEqual({
      code: 1,
      out: "",
      errors:
        "COMMUNICATION_FAILURE: no control plane listens in lattice default\n→ start one: wasmatrix up / wasmatrix control-plane\n",
    });
  });

  test("2 for a command or a flag that does not exist", async () => {
    expect((await run(["fly"])).code).toBe(2);
    expect((await run(["ps", "--fly"])).code).toBe(2);
    expect((await run(["start", "a.wasm", "--memory", "much"])).code).toBe(2);
  });

  test("1 for an address of etcd that holds a password, which is not repeated", async () => {
    for (const part of [["node"], ["control-plane"], ["provider", "kv"], ["up"]]) {
      const { code, errors } = await run([...part, "--etcd", "http://root:geheim@b:2379"]);
      expect([code, errors.split(":")[0]]).toEqual([1, "INVALID_REQUEST"]);
      expect(errors).not.toMatch(/geheim|root/);
    }
  });

  test("3 when no bus is reached", async () => {
    expect((await run(["nodes", "--nats", "nats://nowhere:1"])).code).toBe(3);
  });
});

describe("output", () => {
  test("of --json errors is the body that travels", async () => {
    const { errors } = await run(["nodes", "--json"]);
    expect(JSON.parse(errors)).toMatchObject({
      ok: false,
      error: { code: "COMMUNICATION_FAILURE", retry: "later" },
    });
  });

  test("of --json answers is the answer", async () => {
    const view = { complete: true, gaps: [], asOf: "2026-01-01T00:00:00.000Z" };
    const { out, code } = await run(["--json", "nodes"], (there) => {
      serve(
        there,
        systemClock,
        "ctl.node.list",
        { lattice: "default" },
        () => ({ nodes: [], view }) as never,
      );
    });
    expect({ code, answer: JSON.parse(out) as unknown }).toEqual({
      code: 0,
      answer: { ok: true, nodes: [], view },
    });
  });

  test("of a call is the guest's bytes, and - takes the payload from stdin", async () => {
    const { out } = await run(["call", "echo", "say", "-"], (there) => {
      there.subscribe("wasmatrix.call.v1.default.echo.say", (message) => message.respond(message.data));
    });
    expect(out).toBe("from stdin");
  });

  test("has no colour where NO_COLOR is set", () => {
    expect(paintFor(true, { NO_COLOR: "1" }).red("x")).toBe("x");
    expect(paintFor(true, {}).red("x")).not.toBe("x");
  });

  test("of a fact is one line, whatever a guest made of its text", () => {
    const crash = { reason: "trap", message: "a\nb\x1b[2J", at: "2026-01-01T00:00:00.000Z" } as const;
    const frame = { lattice: "l", node: "n1", epoch: 1, seq: 1, at: "2026-01-01T12:34:56.789Z" };
    const line = factLine(plain, {
      ...frame,
      kind: "instance.crashed",
      data: { instanceId: "a", restarts: 0, crash },
    });
    expect(line).toBe("12:34:56.789  instance.crashed      n1/a crashed (trap): a b [2J");
  });

  test("tells times and sizes as people do", () => {
    const at = "2026-01-01T00:00:00.000Z";
    expect([500, 12_000, 7_200_000].map((ms) => ago(at, Date.parse(at) + ms))).toEqual([
      "now",
      "12s ago",
      "2h ago",
    ]);
    expect([512, 1_536, 64 * 1024 * 1024].map(size)).toEqual(["512 B", "1.5 KiB", "64 MiB"]);
  });
});

describe("arguments", () => {
  test("of grants name the provider type by their permissions", () => {
    expect(grantOf("store=kv:read,kv:write?bucket=x&provider=y")).toEqual({
      capabilityId: "store",
      providerType: "kv",
      permissions: ["kv:read", "kv:write"],
      config: { bucket: "x" },
      provider: "y",
    });
    expect(() => grantOf("store=kv:read,http:request")).toThrow(/one provider type/);
    expect(() => grantOf("store")).toThrow(/it must be like/);
  });

  test("of restart policies may leave out what has a default", () => {
    expect(restartOf("always")).toEqual({ type: "always" });
    expect(restartOf("backoff:200,30s,5")).toEqual({
      type: "backoff",
      delayMs: 200,
      maxDelayMs: 30_000,
      maxRetries: 5,
    });
    expect(restartOf("backoff:1s")).toEqual({ type: "backoff", delayMs: 1_000 });
    for (const wrong of ["sometimes", "backoffs", "backoff:", "backoff:soon"])
      expect(() => restartOf(wrong)).toThrow();
  });

  test("of quantities have units", () => {
    expect([bytesOf("64MiB"), bytesOf("65536"), msOf("5s"), msOf("250ms")]).toEqual([
      67_108_864, 65_536, 5_000, 250,
    ]);
    expect(keyValue("A=b=c", { X: "y" })).toEqual({ X: "y", A: "b=c" });
    expect(() => bytesOf("5 parsecs")).toThrow();
    expect(() => keyValue("A")).toThrow();
  });
});

test("subjects.md is what the subject table says", async () => {
  expect(await readFile(new URL("../../subjects.md", import.meta.url), "utf8")).toBe(subjectsMarkdown());
});
