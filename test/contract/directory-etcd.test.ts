import pino from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { type Clock, systemClock } from "../../src/clock.ts";
import type { Directory, DirectoryChange } from "../../src/directory/directory.ts";
import { etcdEndpoints } from "../../src/directory/endpoints.ts";
import { createEtcdDirectory } from "../../src/directory/etcd.ts";
import { nodeKey } from "../../src/directory/keys.ts";
import { directoryLimits } from "../../src/limits.ts";
import { type EtcdServer, startEtcd } from "../support/etcd-server.ts";
import { failureFrom } from "../support/failure-of.ts";
import { freshId } from "../support/lattice-workload.ts";

let etcd: EtcdServer;
beforeAll(async () => {
  etcd = await startEtcd();
});
afterAll(() => etcd[Symbol.asyncDispose]());
const open: Directory[] = [];
afterEach(() => Promise.all(open.splice(0).map((directory) => directory.close())));

/** Renewals, retries and timeouts come ten times sooner; the lease's own time is etcd's. */
const hurried: Clock = {
  ...systemClock,
  setTimeout: (callback, ms) => systemClock.setTimeout(callback, ms / 10),
};
const patience = { timeout: 15_000, interval: 10 };

function directoryOf(lattice: string, endpoints: readonly string[] = [etcd.url], clock: Clock = hurried) {
  const lines: { level: number; reason?: string }[] = [];
  const write = (line: string) => lines.push(JSON.parse(line) as { level: number });
  const log = pino({ level: "debug" }, { write });
  const directory = createEtcdDirectory({ lattice, endpoints, clock, log });
  open.push(directory);
  const told = (level: number) => lines.filter((line) => line.level === level).length;
  return { directory, lines, warnings: () => told(30 + 10), news: () => told(30) };
}

const record = (nodeId: string, epoch = 1_700_000_000_000) => ({
  nodeId,
  epoch,
  hostname: "here",
  labels: { zone: "eu" },
  productVersion: "0.1.0",
});
const kv = { provider: "kv", nodeId: "n1", providerType: "kv", backend: "memory", version: "0.1.0" };

async function of(lattice: string): Promise<Record<string, unknown>> {
  const prefix = `/wasmatrix/${lattice}/`;
  const own = [...(await etcd.all())].filter(([key]) => key.startsWith(prefix));
  return Object.fromEntries(own.map(([key, value]) => [key.slice(prefix.length), JSON.parse(value)]));
}

function changesOf(directory: Directory): DirectoryChange[] {
  const changes: DirectoryChange[] = [];
  directory.onChange((change) => changes.push(change));
  return changes;
}

describe("R7.1, R7.2: what is put into etcd", () => {
  test("is that a node is there and what its providers are, until it says otherwise or is closed", async () => {
    const lattice = freshId("l");
    // Unhurried: a busy machine is not to be logged as an etcd that does not answer.
    const { directory, lines } = directoryOf(lattice, [etcd.url], systemClock);
    // More than a record has is left out, whatever object it comes in.
    directory.putNode({ ...record("n1"), instances: ["secret"] } as never);
    directory.putProvider({ ...kv, keys: ["secret"] } as never);
    const whole = {
      "nodes/n1": record("n1"),
      "providers/kv/n1": { providerType: "kv", backend: "memory", version: "0.1.0" },
    };
    await vi.waitFor(async () => expect(await of(lattice)).toEqual(whole), patience);
    directory.putNode({ ...record("n1"), labels: { zone: "us" } });
    directory.removeProvider("kv", "n1");
    const changed = { "nodes/n1": { ...record("n1"), labels: { zone: "us" } } };
    await vi.waitFor(async () => expect(await of(lattice)).toEqual(changed), patience);
    await directory.close();
    expect(await of(lattice)).toEqual({});
    expect(lines).toEqual([]);
  });

  test("goes by itself when the process is gone: it is under a lease that others do not renew", async () => {
    const lattice = freshId("l");
    const { directory } = directoryOf(lattice);
    directory.putNode(record("n1"));
    await vi.waitFor(async () => expect(Object.keys(await of(lattice))).toEqual(["nodes/n1"]), patience);
    const { kvs } = (await etcd.ask("/v3/kv/range", {
      key: Buffer.from(nodeKey(lattice, "n1")).toString("base64"),
    })) as { kvs: { lease: string }[] };
    const ttl = await etcd.ask("/v3/lease/timetolive", { ID: kvs[0]?.lease });
    expect(ttl).toMatchObject({ grantedTTL: String(directoryLimits.leaseTtlS) });
  });

  test("comes back under a new lease when the old one was lost", async () => {
    const lattice = freshId("l");
    const { directory, warnings } = directoryOf(lattice);
    directory.putNode(record("n1"));
    await vi.waitFor(async () => expect(Object.keys(await of(lattice))).toEqual(["nodes/n1"]), patience);
    const { leases } = (await etcd.ask("/v3/lease/leases", {})) as { leases: { ID: string }[] };
    for (const { ID } of leases) await etcd.ask("/v3/lease/revoke", { ID });
    expect(await of(lattice)).toEqual({});
    await vi.waitFor(async () => expect(Object.keys(await of(lattice))).toEqual(["nodes/n1"]), patience);
    expect(warnings()).toBe(0);
  });
});

describe("hints", () => {
  test("tell of nodes that are there, that come, that begin a new life and that go; nothing else", async () => {
    const lattice = freshId("l");
    const { directory: one } = directoryOf(lattice);
    one.putNode(record("n1", 1));
    one.putProvider(kv);
    await vi.waitFor(async () => expect(Object.keys(await of(lattice))).toHaveLength(2), patience);
    const changes = changesOf(directoryOf(lattice).directory);
    await vi.waitFor(() => expect(changes).toEqual([{ type: "appeared", nodeId: "n1", epoch: 1 }]), patience);
    for (const value of ["", "{", "[]", '{"nodeId":"other","epoch":1}', "\u0000"])
      await etcd.put(nodeKey(lattice, "strange"), value);
    await etcd.put(`/wasmatrix/${lattice}/nodes/..`, JSON.stringify(record("n9")));
    await etcd.put(`/wasmatrix/${lattice}/nodes/n9/x`, JSON.stringify(record("n9")));
    one.putNode({ ...record("n1", 1), labels: {} });
    const { directory: two } = directoryOf(lattice);
    two.putNode(record("n2", 2));
    await vi.waitFor(() => expect(changes).toHaveLength(2), patience);
    two.putNode(record("n2", 3));
    await vi.waitFor(() => expect(changes).toHaveLength(3), patience);
    await one.close();
    await vi.waitFor(() => expect(changes).toHaveLength(4), patience);
    expect(changes.slice(1)).toEqual([
      { type: "appeared", nodeId: "n2", epoch: 2 },
      { type: "appeared", nodeId: "n2", epoch: 3 },
      { type: "disappeared", nodeId: "n1" },
    ]);
  });

  test("tell of more nodes than one page of them holds", async () => {
    const lattice = freshId("l");
    const ids = Array.from({ length: directoryLimits.pageRecords + 200 }, (_, index) => `n-${index}`);
    await Promise.all(ids.map((id) => etcd.put(nodeKey(lattice, id), JSON.stringify(record(id)))));
    const changes = changesOf(directoryOf(lattice).directory);
    await vi.waitFor(() => expect(changes).toHaveLength(ids.length), patience);
    expect(new Set(changes.map(({ nodeId }) => nodeId))).toEqual(new Set(ids));
  });

  test("go on after etcd compacted its history", async () => {
    const lattice = freshId("l");
    const changes = changesOf(directoryOf(lattice).directory);
    directoryOf(lattice).directory.putNode(record("n1", 1));
    await vi.waitFor(() => expect(changes).toHaveLength(1), patience);
    const { header } = (await etcd.ask("/v3/kv/range", { key: "AA==" })) as { header: { revision: string } };
    await etcd.ask("/v3/kv/compaction", { revision: header.revision });
    await etcd.put(nodeKey(lattice, "n2"), JSON.stringify(record("n2", 2)));
    await vi.waitFor(() => expect(changes).toHaveLength(2), patience);
  });
});

describe("R7.6: an etcd that is away", () => {
  test.each([
    ["killed, and back with all that it had", () => etcd.kill(), () => etcd.restart()],
    ["killed, and back with nothing", () => etcd.kill(), () => etcd.restart({ empty: true })],
    ["frozen", async () => etcd.freeze(), async () => etcd.thaw()],
  ])("%s: one warning, and everything is caught up with", async (_how, begin, end) => {
    const lattice = freshId("l");
    const keeping = directoryOf(lattice);
    const watching = directoryOf(lattice);
    const changes = changesOf(watching.directory);
    keeping.directory.putNode(record("n1", 1));
    await vi.waitFor(() => expect(changes).toHaveLength(1), patience);
    await begin();
    keeping.directory.putNode(record("n1", 2));
    keeping.directory.putProvider(kv);
    await vi.waitFor(() => expect(keeping.warnings()).toBe(1), patience);
    await end();
    await vi.waitFor(() => expect(keeping.news()).toBe(1), patience);
    await vi.waitFor(() => expect(changes.at(-1)).toMatchObject({ nodeId: "n1", epoch: 2 }), patience);
    await vi.waitFor(
      async () => expect(Object.keys(await of(lattice))).toEqual(["nodes/n1", "providers/kv/n1"]),
      patience,
    );
    expect([keeping.warnings(), keeping.news()]).toEqual([1, 1]);
    expect(watching.warnings()).toBeLessThanOrEqual(1);
  });

  test("from the beginning: nothing fails, closing does not wait for it", async () => {
    const { directory, warnings, lines } = directoryOf(freshId("l"), ["http://127.0.0.1:9"]);
    directory.putNode(record("n1"));
    changesOf(directory);
    await vi.waitFor(() => expect(warnings()).toBe(1), patience);
    expect(lines[0]?.reason).toContain("etcd is out of reach: ");
    await directory.close();
    expect(warnings()).toBe(1);
  });

  test("of one member only is none: the next one is asked", async () => {
    const lattice = freshId("l");
    const { directory, lines } = directoryOf(lattice, ["http://127.0.0.1:9", etcd.url]);
    directory.putNode(record("n1"));
    await vi.waitFor(async () => expect(Object.keys(await of(lattice))).toEqual(["nodes/n1"]), patience);
    expect(lines).toEqual([]);
  });
});

describe("R13.5: the addresses of etcd", () => {
  test("are origins, one or several", () => {
    expect(etcdEndpoints("http://a:2379")).toEqual(["http://a:2379"]);
    expect(etcdEndpoints("http://a:2379/, https://b,http://a:2379")).toEqual(["http://a:2379", "https://b"]);
  });

  test.each([
    "",
    ",",
    "a:2379",
    "localhost",
    "nats://a:2379",
    "http://",
    "http://a/v3",
    "http://a?x",
    "file:///x",
  ])("are not %j", (list) => {
    expect(failureFrom(() => etcdEndpoints(list))).toMatchObject({
      code: "INVALID_REQUEST",
      fix: expect.any(String),
    });
  });

  test("hold no credentials, and those that were given are not repeated", () => {
    const failure = failureFrom(() => etcdEndpoints("http://a:2379,http://root:geheim@b:2379"));
    expect(failure).toMatchObject({ code: "INVALID_REQUEST" });
    expect(failure.message).toContain("address 2 of etcd");
    expect(JSON.stringify([failure.message, failure.fix, failure.details])).not.toMatch(/geheim|root/);
  });
});
