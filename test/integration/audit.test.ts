import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { createProgram } from "../../cli/program.ts";
import { paintFor } from "../../cli/render/paint.ts";
import { connect } from "../../src/client/client.ts";
import { systemClock } from "../../src/clock.ts";
import { type HeardFacts, hearFacts } from "../support/lattice-facts.ts";
import { done } from "../support/lattice-workload.ts";
import { type Answer, startLattice, type TestLattice } from "../support/lattice.ts";
import { relayed, relayGuest } from "../support/relay-guest.ts";

const bytes = Buffer.from(relayGuest()).toString("base64");

let lattice: TestLattice;
let heard: HeardFacts;
let controlPlane: Awaited<ReturnType<TestLattice["controlPlane"]>>;
beforeAll(async () => {
  lattice = await startLattice();
  heard = await hearFacts(lattice);
  controlPlane = await lattice.controlPlane("cp1");
  await lattice.kvProvider("kv1");
  await lattice.node("n1");
  await lattice.node("n2");
  await done(lattice, "provider.start", { provider: "messaging", kind: "messaging" });
  await done(lattice, "provider.start", { provider: "http", kind: "http" });
  await done(lattice, "provider.start", {
    provider: "http-server",
    kind: "http-server",
    config: { listen: "127.0.0.1:0" },
  });
  await done(lattice, "instance.start", { module: { bytes }, name: "peer" });
});
afterAll(() => lattice[Symbol.asyncDispose]());

function factsOf(kind: string, instanceId: string) {
  return heard.all.filter(
    (fact) => fact.kind === kind && (fact.data as { instanceId?: string }).instanceId === instanceId,
  );
}

function permissionsIn(audited: Answer): unknown {
  return audited["smallest"].map((grant: { capabilityId: string; permissions: string[] }) => [
    grant.capabilityId,
    grant.permissions,
  ]);
}

async function cli(...args: string[]): Promise<string> {
  const out: string[] = [];
  const errors: string[] = [];
  const paint = paintFor(false, {});
  const program = createProgram({
    env: {},
    clock: systemClock,
    paint,
    errorPaint: paint,
    write: (text) => void out.push(String(text)),
    writeError: (text) => void errors.push(text),
    readInput: async () => new Uint8Array(),
    ended: new AbortController().signal,
    connect,
    exit: () => {},
  });
  await program.parseAsync(["node", "wasmatrix", "--nats", lattice.server.url, ...args]);
  expect(errors).toEqual([]);
  return out.join("");
}

/** The words of a command line; quotes are single ones, as it prints them. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? "");
}

describe("what instances use of their grants", () => {
  const name = "user";
  const instanceId = "user-1";
  const expected = [
    ["inbox", ["msg:publish:orders.new", "msg:subscribe:orders.new"]],
    ["peer", ["call:peer:ask"]],
    ["store", ["kv:read"]],
    ["web", ["http-server:serve"]],
  ];
  const audit = () => done(lattice, "capability.audit", { name });

  test("R2.3, R2.4: every way to use a grant is noted once, deliveries and requests from outside too", async () => {
    await done(lattice, "instance.start", {
      module: { bytes },
      name,
      instanceId,
      onNodeLoss: "relocate",
      capabilities: [
        { capabilityId: "store", providerType: "kv", permissions: ["kv:read", "kv:write"] },
        {
          capabilityId: "inbox",
          providerType: "messaging",
          permissions: ["msg:publish:orders.>", "msg:subscribe:orders.*"],
          config: { subscriptions: "orders.new" },
        },
        { capabilityId: "peer", providerType: "call", permissions: ["call:peer"] },
        {
          capabilityId: "web",
          providerType: "http-server",
          permissions: ["http-server:serve"],
          config: { path: "/user" },
        },
        { capabilityId: "unused", providerType: "blobstore", permissions: ["blob:read"] },
      ],
    });
    expect(permissionsIn(await audit())).toEqual([]);
    expect(await cli("audit", name)).toMatch(/Nothing was used and nothing refused yet/);

    for (let times = 0; times < 3; times += 1) {
      expect(await lattice.call(name, "ask", relayed("store", "kv", "get", { key: "a" }))).toMatch(/^\{/);
      const topic = { topic: "orders.new", body: "x" };
      expect(await lattice.call(name, "ask", relayed("inbox", "messaging", "publish", topic))).toBe("{}");
      expect(await lattice.call(name, "ask", relayed("peer", "actor", "ask", {}))).toBeTypeOf("string");
    }
    const { providers } = await done(lattice, "provider.list", {});
    const { address } = providers.find((one: { provider: string }) => one.provider === "http-server");
    await vi.waitFor(async () => expect((await fetch(`${address}/user/x`)).status).toBe(200));
    await vi.waitFor(async () => expect(permissionsIn(await audit())).toEqual(expected));
    // Once for each permission, and once for what it was used as, whatever is called again.
    expect(factsOf("capability.used", instanceId)).toHaveLength(5);
    expect(factsOf("capability.denied", instanceId)).toEqual([]);
    const sheet = await cli("audit", name);
    expect(sheet).toMatch(/kv:write +not used/);
    expect(sheet).toContain("wasmatrix revoke user unused");
    expect(sheet).toContain("wasmatrix assign user store=kv:read\n");
  });

  test("R1.4, R3.5: it goes along when the instance moves, and a control plane that starts is told of it", async () => {
    const { instance } = await done(lattice, "instance.query", { instanceId });
    const nodeId = instance.nodeId === "n1" ? "n2" : "n1";
    await done(lattice, "instance.relocate", { instanceId, nodeId });
    expect(permissionsIn(await audit())).toEqual(expected);
    await controlPlane.stop();
    controlPlane = await lattice.controlPlane("cp2");
    await vi.waitFor(async () => expect(permissionsIn(await audit())).toEqual(expected));
    // What the other copy said is not said again by the cell that runs it now.
    const told = factsOf("capability.used", instanceId).length;
    expect(await lattice.call(name, "ask", relayed("store", "kv", "get", { key: "a" }))).toMatch(/^\{/);
    expect(await lattice.call(name, "ask", relayed("store", "kv", "set", { key: "a", value: "b" }))).toBe(
      "{}",
    );
    await vi.waitFor(async () =>
      expect((await audit())["smallest"][2].permissions).toEqual(["kv:read", "kv:write"]),
    );
    expect(factsOf("capability.used", instanceId)).toHaveLength(told + 1);
  });
});

describe("what only a provider sees", () => {
  test("R2.5, R5.4: what it refuses is a fact, once, and a redirect is use of the grant of its host", async () => {
    const server = createServer((request, response) => {
      const { port } = server.address() as AddressInfo;
      if (request.url === "/moved") response.writeHead(302, { location: `http://localhost:${port}/` }).end();
      else response.end("there");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const grant = {
      capabilityId: "out",
      providerType: "http",
      permissions: ["http:domain:127.0.0.1", "http:domain:localhost", "http:domain:other.test"],
    };
    const instanceId = "fetcher-1";
    await done(lattice, "instance.start", { module: { bytes }, instanceId, capabilities: [grant] });
    const request = { url: `http://127.0.0.1:${port}/moved`, redirect: "follow", inline: true };
    const fetched = () => lattice.call(instanceId, "ask", relayed("out", "http", "request", request));
    expect(await fetched()).toMatch(/^PERMISSION_DENIED/);
    await vi.waitFor(() => expect(factsOf("capability.denied", instanceId)).toHaveLength(1));
    expect(factsOf("capability.denied", instanceId)[0]?.data).toMatchObject({
      capabilityId: "out",
      permission: "http:private",
      count: 1,
      fix: "wasmatrix assign fetcher-1 out=http:domain:127.0.0.1,http:domain:localhost,http:domain:other.test,http:private",
    });
    const assignment = { ...grant, permissions: [...grant.permissions, "http:private"] };
    await done(lattice, "capability.assign", { instanceId, assignment });
    expect(await fetched()).toMatch(/"status":200/);
    await vi.waitFor(async () =>
      expect(permissionsIn(await done(lattice, "capability.audit", { instanceId }))).toEqual([
        ["out", ["http:domain:127.0.0.1", "http:domain:localhost", "http:private"]],
      ]),
    );
    server.close();
  });
});

describe("an audit", () => {
  test("R2.5, R13.4: refuses all that is not granted, keeps it, and the commands that it prints make it work", async () => {
    const asked = [
      relayed("store", "kv", "set", { key: "a", value: "b" }),
      relayed("store", "kv", "get", { key: "a" }),
      relayed("out", "messaging", "publish", { topic: "audit.seen", body: "x", replyTo: "audit.back" }),
      relayed("peer", "actor", "ask", {}),
    ];
    await done(lattice, "instance.start", { module: { bytes }, name: "audited", audit: true });
    for (const one of asked)
      expect(await lattice.call("audited", "ask", one)).toMatch(/^PERMISSION_DENIED: audited has no /);
    const sheet = await vi.waitFor(async () => {
      const text = await cli("audit", "audited");
      expect(text).toContain("call:peer:ask");
      return text;
    });
    const commands = sheet.split("\n").filter((line) => line.startsWith("wasmatrix assign"));
    expect(commands.toSorted()).toEqual([
      "wasmatrix assign audited out=msg:publish:audit.back,msg:publish:audit.seen",
      "wasmatrix assign audited peer=call:peer:ask",
      "wasmatrix assign audited store=kv:read,kv:write",
    ]);
    for (const command of commands) await cli(...wordsOf(command).slice(1));
    for (const one of asked)
      expect(await lattice.call("audited", "ask", one)).not.toMatch(/PERMISSION_DENIED/);
    await vi.waitFor(async () =>
      expect(await cli("audit", "audited")).toContain("It holds what it uses, and nothing else."),
    );
    expect(await cli("ps", "audited")).toMatch(/running audit/);
  });

  test("R8.1: more refusals than are told at once come later, and more than are kept are marked", async () => {
    const instanceId = "greedy-1";
    const grant = { capabilityId: "out", providerType: "messaging", permissions: ["msg:publish:other"] };
    await done(lattice, "instance.start", { module: { bytes }, instanceId, capabilities: [grant] });
    const topics = Array.from({ length: 30 }, (_, index) => `greedy.t${index}`);
    for (const topic of topics)
      await lattice.call(instanceId, "ask", relayed("out", "messaging", "publish", { topic, body: "x" }));
    await vi.waitFor(
      async () => {
        const audited = await done(lattice, "capability.audit", { instanceId });
        expect([audited["more"], audited["smallest"]]).toEqual([true, []]);
        expect(audited["capabilities"][0].denied).toHaveLength(8);
      },
      { timeout: 5_000 },
    );
  });
});
