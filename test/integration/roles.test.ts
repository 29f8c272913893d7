import { connect as connectSocket } from "node:net";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { freePort } from "../../cli/up/nats-part.ts";
import type { Bus, BusStatus, Subscription } from "../../src/bus/bus.ts";
import { connectNats } from "../../src/bus/nats-bus.ts";
import { createLatticeRoles, type LatticeRoles } from "../support/lattice-roles.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";

let roles: LatticeRoles;
let server: NatsServer;
const people = new Map<string, Person>();

interface Person {
  readonly bus: Bus;
  readonly refused: string[];
}

async function person(name: string, credsFile: string, user: "nats" | "application" = "nats"): Promise<void> {
  const refused: string[] = [];
  const onStatus = (status: BusStatus) => {
    if (status.type === "refused") refused.push(`${status.operation} ${status.subject}`);
  };
  const bus = await connectNats({
    servers: server.url,
    name,
    credsFile,
    user,
    connectTimeoutMs: 5_000,
    onStatus,
  });
  people.set(name, { bus, refused });
}

const who = (name: string): Person => {
  const found = people.get(name);
  if (found === undefined) throw new Error(`nobody is called ${name}`);
  return found;
};

beforeAll(async () => {
  roles = createLatticeRoles();
  const files = {
    operator: roles.creds("operator", "op"),
    plane: roles.creds("control-plane", "cp-1"),
    n1: roles.creds("node", "n1"),
    n2: roles.creds("node", "n2"),
    host: roles.creds("node", "host", { hosts: ["kv"] }),
    provider: roles.creds("provider", "p1", { hosts: ["kv", "messaging"] }),
    store: roles.creds("provider", "p3", { hosts: ["kv", "http", "blobstore"] }),
    narrow: roles.creds("provider", "p2", { hosts: ["messaging"], topics: ["orders.>"] }),
    observer: roles.creds("observer", "o1"),
  };
  server = await startNatsServer({
    config: `jetstream { store_dir: ${JSON.stringify(`${roles.path}/js`)} }\n${roles.config()}`,
  });
  await Promise.all(Object.entries(files).map(([name, file]) => person(name, file)));
  await person("topics", files.provider, "application");
  await person("orders", files.narrow, "application");
});

afterAll(async () => {
  await Promise.all([...people.values()].map(({ bus }) => bus.close()));
  await server.stop();
  roles[Symbol.dispose]();
});

const nothing = new Uint8Array(0);
/** What everybody is refused, sent after something else: once that shows, so would the other have. */
const forbidden = "nobody.may";

async function attempt(name: string, operation: "publish" | "subscribe", subject: string): Promise<string> {
  const { bus, refused } = who(name);
  refused.length = 0;
  let subscription: Subscription | undefined;
  if (operation === "publish") bus.publish(subject, nothing);
  else subscription = bus.subscribe(subject, () => {});
  const marker = name === "topics" ? "wasmatrix.marker" : forbidden;
  bus.publish(marker, nothing);
  await vi.waitFor(() => expect(refused).toContain(`publish ${marker}`));
  subscription?.unsubscribe();
  return refused.includes(`${operation} ${subject}`) ? "refused" : "taken";
}

const ours = "wasmatrix";
const attempts: readonly (readonly [string, "publish" | "subscribe", string, string])[] = [
  ["n1", "publish", `${ours}.node.v1.default.n2.instance.stop`, "a node commands another one"],
  ["n1", "publish", `${ours}.node.v1.default.n1.instance.start`, "a node commands itself"],
  ["n1", "publish", `${ours}.ctl.v1.default.instance.start`, "a node uses the command plane"],
  ["n1", "publish", `${ours}.fact.v1.default.n2.instance.crashed`, "a node states facts in another's name"],
  ["n1", "publish", `${ours}.fact.v1.default.n2.node.replay`, "a node tells another's facts again"],
  ["n1", "publish", `${ours}.fact.v1.other.n1.node.joined`, "a node joins another lattice"],
  ["n1", "publish", `${ours}.cap.v1.default.kv.n2.get`, "a node calls a capability in another's name"],
  ["n1", "publish", `${ours}.log.v1.default.n2.i1`, "a node writes another's logs"],
  ["n1", "publish", `${ours}.leave.v1.default.n2`, "a node says that another one leaves"],
  ["n1", "publish", `${ours}.renew.v1.default.n2`, "a node asks for proofs of another's grants"],
  ["n1", "publish", `${ours}.plane.v1.default.cp-1.beat`, "a node plays a control plane"],
  ["n1", "publish", `${ours}.revoked.v1.default`, "a node revokes grants"],
  ["n1", "publish", `${ours}.nodes.v1.default.replay`, "a node has all others tell their facts"],
  ["n1", "publish", "_INBOX.observer.o1.a.b", "a node answers somebody who may not ask it"],
  ["n1", "publish", "$JS.API.STREAM.CREATE.x", "a node uses JetStream"],
  ["n1", "publish", "orders.new", "a node speaks to applications"],
  ["n1", "subscribe", ">", "a node listens to everything"],
  ["n1", "subscribe", `${ours}.>`, "a node listens to the whole lattice"],
  ["n1", "subscribe", "_INBOX.>", "a node listens to all answers"],
  ["n1", "subscribe", "_INBOX.node.n2.>", "a node listens to another's answers"],
  ["n1", "subscribe", "_INBOX.node.*.>", "a node listens to all nodes' answers"],
  ["n1", "subscribe", "_INBOX.operator.op.>", "a node listens to an operator's answers"],
  ["n1", "subscribe", `${ours}.node.v1.default.n2.module.read`, "a node reads another's module pulls"],
  ["n1", "subscribe", `${ours}.node.v1.default.*.instance.start`, "a node hears what others are told to run"],
  ["n1", "subscribe", `${ours}.stream.v1.default.n2.*.*`, "a node serves another's bodies"],
  ["n1", "subscribe", `${ours}.cap.v1.default.kv.*.*`, "a node plays a provider"],
  ["n1", "subscribe", `${ours}.ctl.v1.default.>`, "a node plays a control plane to operators"],
  ["n1", "subscribe", `${ours}.fact.v1.default.>`, "a node watches the others"],
  ["n1", "subscribe", "$SYS.>", "a node listens to the server's own"],
  ["host", "subscribe", `${ours}.cap.v1.default.http.*.*`, "a node hosts what its identity does not say"],
  ["host", "publish", `${ours}.cap.v1.default.kv.n1.get`, "a node that hosts calls in another's name"],
  ["provider", "publish", `${ours}.node.v1.default.n1.instance.start`, "a provider commands a node"],
  ["provider", "publish", `${ours}.ctl.v1.default.capability.assign`, "a provider grants"],
  ["provider", "publish", `${ours}.cap.v1.default.kv.p1.get`, "a provider calls capabilities"],
  ["provider", "publish", `${ours}.fact.v1.default.n1.instance.stopped`, "a provider states a node's facts"],
  ["provider", "publish", "_INBOX.operator.op.a.b", "a provider answers for a control plane"],
  ["provider", "subscribe", `${ours}.call.v1.default.*.*`, "a provider takes calls of guests"],
  ["provider", "subscribe", `${ours}.cap.v1.default.http.*.*`, "a provider plays another one"],
  ["provider", "subscribe", `${ours}.cap.v1.default.*.*.*`, "a provider plays all others"],
  ["store", "publish", `${ours}.call.v1.default.echo.say`, "a provider that only answers calls a guest"],
  ["provider", "publish", "orders.new", "a provider speaks to applications as itself"],
  ["observer", "publish", `${ours}.ctl.v1.default.instance.stop`, "an observer commands"],
  ["observer", "publish", `${ours}.call.v1.default.echo.say`, "an observer calls"],
  ["observer", "publish", `${ours}.fact.v1.default.n1.node.left`, "an observer states facts"],
  ["observer", "publish", `${ours}.node.v1.default.n1.fact.replay`, "an observer asks one node"],
  ["observer", "publish", "_INBOX.operator.op.a.b", "an observer answers"],
  ["observer", "subscribe", "_INBOX.observer.o1.>", "an observer has an inbox"],
  ["observer", "subscribe", `${ours}.call.v1.default.*.*`, "an observer hears calls"],
  [
    "operator",
    "publish",
    `${ours}.node.v1.default.n1.instance.start`,
    "an operator goes round the control plane",
  ],
  ["operator", "publish", `${ours}.fact.v1.default.n1.node.left`, "an operator states facts"],
  ["operator", "publish", `${ours}.cap.v1.default.kv.n1.get`, "an operator calls capabilities"],
  ["operator", "subscribe", `${ours}.ctl.v1.default.instance.start`, "an operator hears commands of others"],
  ["operator", "subscribe", "_INBOX.operator.other.>", "an operator hears answers to others"],
  [
    "plane",
    "publish",
    `${ours}.fact.v1.default.n1.instance.stopped`,
    "a control plane states a node's facts",
  ],
  ["plane", "publish", `${ours}.plane.v1.default.cp-2.beat`, "a control plane speaks for another one"],
  ["plane", "publish", `${ours}.call.v1.default.echo.say`, "a control plane calls guests"],
  ["plane", "subscribe", `${ours}.cap.v1.default.kv.*.*`, "a control plane plays a provider"],
  ["topics", "publish", `${ours}.ctl.v1.default.instance.start`, "an application commands"],
  ["topics", "publish", "_INBOX.node.n1.a.b", "an application answers a node"],
  ["topics", "publish", "$JS.API.STREAM.DELETE.KV_x", "messaging deletes what others store"],
  ["topics", "subscribe", `${ours}.fact.v1.default.*.*.*`, "an application watches the lattice"],
  ["topics", "subscribe", "_INBOX.node.n1.>", "an application hears a node's answers"],
  ["topics", "subscribe", "_INBOX.application.p2.>", "an application hears another's answers"],
  ["topics", "subscribe", "$JS.API.>", "an application hears what is asked of JetStream"],
  ["orders", "publish", "alarms.new", "messaging with topics uses another one"],
  ["orders", "subscribe", "alarms.*", "messaging with topics listens to another one"],
  ["orders", "subscribe", ">", "messaging with topics listens to everything"],
];

describe("R12.4: the server refuses", () => {
  test.each(attempts.map(([name, operation, subject, says]) => ({ name, operation, subject, says })))(
    "$says",
    async ({ name, operation, subject }) => {
      expect(await attempt(name, operation, subject)).toBe("refused");
    },
  );

  test("whoever has no credentials, or other ones", async () => {
    const options = { servers: server.url, name: "stranger", connectTimeoutMs: 2_000 };
    const refused = { code: "COMMUNICATION_FAILURE", details: { unauthorized: true } };
    await expect(connectNats(options)).rejects.toMatchObject(refused);
    using elsewhere = createLatticeRoles();
    const credsFile = elsewhere.creds("operator", "op");
    await expect(connectNats({ ...options, credsFile })).rejects.toMatchObject(refused);
  });

  test("to carry a command that somebody has published as an answer", async () => {
    // The responder answers where it is told to, with its own rights.
    const { bus, refused } = who("plane");
    const heard: string[] = [];
    const subscription = bus.subscribe(`${ours}.ctl.v1.default.node.list`, (message) => {
      heard.push(message.subject);
      message.respond(nothing);
    });
    await bus.flush();
    refused.length = 0;
    const replyTo = `${ours}.node.v1.default.n1.instance.stop`;
    who("operator").bus.publish(`${ours}.ctl.v1.default.node.list`, nothing, { replyTo });
    await vi.waitFor(() => expect(refused).toEqual([`publish ${replyTo}`]));
    expect(heard).toHaveLength(1);
    subscription.unsubscribe();
  });
});

describe("R12.4: the server lets", () => {
  const allowed: readonly (readonly [string, "publish" | "subscribe", string])[] = [
    ["n1", "publish", `${ours}.fact.v1.default.n1.instance.crashed`],
    ["n1", "publish", `${ours}.cap.v1.default.kv.n1.get`],
    ["n1", "publish", `${ours}.node.v1.default.n2.module.read`],
    ["n1", "subscribe", `${ours}.node.v1.default.n1.instance.start`],
    ["n1", "subscribe", `${ours}.call.v1.default.echo.*`],
    ["host", "subscribe", `${ours}.cap.v1.default.kv.*.*`],
    ["provider", "subscribe", `${ours}.cap.v1.default.kv.*.*`],
    ["provider", "publish", `${ours}.call.v1.default.web.http-request`],
    ["observer", "subscribe", `${ours}.fact.v1.default.*.*.*`],
    ["observer", "publish", `${ours}.nodes.v1.default.replay`],
    ["operator", "publish", `${ours}.ctl.v1.default.instance.start`],
    ["plane", "publish", `${ours}.node.v1.default.n1.instance.start`],
    ["topics", "subscribe", "orders.*"],
    ["topics", "publish", "$KV.wasmatrix_7_default_b.key"],
    ["orders", "publish", "orders.new"],
  ];
  test.each(allowed)("%s %s %s", async (name, operation, subject) => {
    expect(await attempt(name, operation, subject)).toBe("taken");
  });

  test("those who ask get their answers, each its own", async () => {
    const plane = who("plane").bus.subscribe(`${ours}.ctl.v1.default.node.list`, (message) =>
      message.respond(new TextEncoder().encode("for you")),
    );
    await who("plane").bus.flush();
    const answer = await who("operator").bus.request(`${ours}.ctl.v1.default.node.list`, nothing, {
      timeoutMs: 5_000,
    });
    expect(new TextDecoder().decode(answer.data)).toBe("for you");
    expect(answer.subject).toMatch(/^_INBOX\.operator\.op\./);
    plane.unsubscribe();
  });
});

test("R12.4: without its password nobody becomes a server of the cluster", async () => {
  const { serverConfig } = await import("../../src/trust/server-config.ts");
  const cluster = { name: "c", serverName: "c-1", listen: "127.0.0.1:-1", routes: ["127.0.0.1:1"] };
  const settings = { host: "127.0.0.1", port: 4222, store: `${roles.path}/js2`, cluster };
  const known = { version: 1 as const, lattice: "default", server: settings, roots: [], identities: [] };
  const text = serverConfig(known, { pidFile: `${roles.path}/pid`, routePassword: "correct-horse" });
  // The port of the clients is the test server's, and its accounts follow.
  const config = `${text.replace(/^(host|port|include).*$/gm, "")}\n${roles.config()}`;
  const port = await freePort("--port", undefined, []);
  await using one = await startNatsServer({ config: config.replace("127.0.0.1:-1", `127.0.0.1:${port}`) });
  expect(one.port).toBeGreaterThan(0);
  // The server listens for others a moment after it listens for clients.
  const answer = (password: string | undefined) =>
    vi.waitFor(() => route(port, password), { timeout: 10_000, interval: 20 });
  expect(await answer(undefined)).toContain("Authorization Violation");
  expect(await answer("wrong")).toContain("Authorization Violation");
  expect(await answer("correct-horse")).toContain("PONG");
});

/** Speaks as another server would, and gives what is answered. */
function route(port: number, password: string | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket(port, "127.0.0.1");
    let heard = "";
    let isGreeted = false;
    const login = password === undefined ? {} : { user: "route", pass: password };
    socket.on("data", (data) => {
      heard += data.toString("latin1");
      if (!isGreeted && heard.includes("\r\n")) {
        isGreeted = true;
        const hello = { verbose: false, pedantic: false, name: "X", cluster: "c", protocol: 1, ...login };
        socket.write(
          `CONNECT ${JSON.stringify(hello)}\r\nINFO ${JSON.stringify({ server_id: `S${password}`, cluster: "c" })}\r\nPING\r\n`,
        );
      }
      if (/-ERR|PONG/.test(heard)) socket.end();
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(heard));
  });
}
