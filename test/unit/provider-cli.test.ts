import { expect, test } from "vitest";
import { createProgram } from "../../cli/program.ts";
import { paintFor } from "../../cli/render/paint.ts";
import { clientOn } from "../../src/client/client.ts";
import { systemClock } from "../../src/clock.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import { startMemoryServer } from "../support/memory-bus.ts";

const summary = {
  provider: "sessions",
  providerType: "kv",
  nodeId: "n1",
  status: "available",
  backend: "nats",
  version: "1",
  since: "2026-01-01T00:00:00.000Z",
  restarts: 2,
  address: "http://h:1",
};

/** Runs the command line; gives what it sent, by verb, and what it printed. */
async function run(...args: string[]) {
  const server = startMemoryServer();
  const there = server.connect();
  const sent: [string | undefined, unknown][] = [];
  const out: string[] = [];
  const errors: string[] = [];
  there.subscribe("wasmatrix.ctl.v1.default.>", (message) => {
    sent.push([message.subject.split(".").at(-1), decode(message.data).value]);
    const view = { complete: true, gaps: [], asOf: summary.since };
    message.respond(encode({ ok: true, providers: [summary], view }, "msgpack"));
  });
  let code = 0;
  const program = createProgram({
    env: { REDIS: "redis://:pw@h" },
    clock: systemClock,
    paint: paintFor(false, {}),
    errorPaint: paintFor(false, {}),
    write: (text) => void out.push(String(text)),
    writeError: (text) => void errors.push(text),
    readInput: () => Promise.reject(new Error("nothing is read")),
    ended: new AbortController().signal,
    connect: async ({ lattice }) => clientOn(server.connect(), lattice),
    exit: (given) => void (code = given),
  });
  await program.parseAsync(["node", "wasmatrix", ...args]).catch(() => undefined);
  await there.close();
  return { sent, code, out: out.join(""), errors: errors.join("") };
}

test("`providers` lists, with restarts and addresses", async () => {
  for (const args of [["providers"], ["providers", "list"]]) {
    const { sent, out } = await run(...args);
    expect(sent).toEqual([["list", {}]]);
    expect(out).toMatch(/sessions +kv +available +nats +n1 .* 2 +http:\/\/h:1/);
  }
});

test("`providers start` sends the kind, what it is made of, its settings and where it is to be", async () => {
  const settings = ["--backend", "redis", "--config-env", "url=REDIS"];
  expect(
    (await run("providers", "start", "kv", "--name", "sessions", ...settings, "--on", "n1")).sent,
  ).toEqual([
    [
      "start",
      { provider: "sessions", kind: "kv", backend: "redis", config: { url: "redis://:pw@h" }, nodeId: "n1" },
    ],
  ]);
  expect((await run("providers", "start", "module:clock.ts", "--require", "zone=eu")).sent).toEqual([
    ["start", { provider: "clock", kind: "module:clock.ts", config: {}, requires: { zone: "eu" } }],
  ]);
  expect((await run("providers", "start", "http-server", "--listen", "0")).sent).toEqual([
    ["start", { provider: "http-server", kind: "http-server", config: { listen: "0" } }],
  ]);
});

test("`providers update` leaves out what stays, and `providers stop` names who and where", async () => {
  expect((await run("providers", "update", "sessions")).sent).toEqual([["update", { provider: "sessions" }]]);
  expect(
    (await run("providers", "update", "sessions", "--backend", "nats", "--config", "replicas=3")).sent,
  ).toEqual([["update", { provider: "sessions", backend: "nats", config: { replicas: "3" } }]]);
  expect((await run("providers", "stop", "sessions", "--on", "n1")).sent).toEqual([
    ["stop", { provider: "sessions", nodeId: "n1" }],
  ]);
});

test("wrong flags are told of before anything is sent", async () => {
  expect(await run("providers", "start")).toMatchObject({ code: 2, sent: [] });
  expect(await run("providers", "start", "kv", "--config-env", "url=NOTHING")).toMatchObject({
    code: 2,
    sent: [],
  });
  expect(await run("providers", "start", "kv", "--config", "url")).toMatchObject({ code: 2, sent: [] });
});
