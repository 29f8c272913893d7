import { readFile } from "node:fs/promises";
import { connect } from "node:net";
import { Agent, request as undiciRequest } from "undici";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { buildExamples } from "../../scripts/build-examples.ts";
import { createStreams } from "../../src/bus/streams.ts";
import { createHttpServer, type HttpServer } from "../../src/capabilities/http-server/http-server.ts";
import { systemClock } from "../../src/clock.ts";
import { type RunningEngine, startEngine, wapcText } from "../support/running-engine.ts";
import { type HttpLab, httpLab } from "./http-server-lab.ts";

describe("R5.2: real guests behind an http-server", () => {
  let running: RunningEngine;
  let server: HttpServer;
  let url: string;
  beforeAll(async () => {
    running = await startEngine();
    const { bus } = running;
    server = await createHttpServer({
      lattice: "test",
      bus,
      clock: systemClock,
      streams: createStreams({ lattice: "test", holder: "front", bus, clock: systemClock }),
      host: "127.0.0.1",
      port: 0,
      routes: [
        { path: "/", target: "web" },
        { path: "/trap", target: "trap" },
        { path: "/component", target: "component" },
      ],
    });
    url = `http://127.0.0.1:${server.address.port}`;
    const { web } = await buildExamples(["web"]);
    const module = await readFile(web.path);
    for (const id of ["web1", "web2"]) {
      await running.engine.start(running.spec(id, module, { name: "web" }));
    }
    await running.engine.start(running.spec("trap1", wapcText("unreachable"), { name: "trap" }));
  });
  afterAll(async () => {
    await server.close();
    await running[Symbol.asyncDispose]();
  });

  test("the example greets, echoes, and refuses in its own words", async () => {
    const said = async (path: string, init?: RequestInit) => {
      const answer = await fetch(url + path, init);
      return [answer.status, answer.headers.get("content-type"), await answer.text()];
    };
    const plain = "text/plain; charset=utf-8";
    expect(await said("/hello")).toEqual([200, plain, "Hello, world!\n"]);
    expect(await said("/hello?name=Ada")).toEqual([200, plain, "Hello, Ada!\n"]);
    expect(await said("/hello", { method: "HEAD" })).toEqual([200, plain, ""]);
    expect(await said("/hello", { method: "DELETE" })).toEqual([405, plain, "GET it\n"]);
    expect(await said("/other")).toEqual([404, plain, "there is /hello and /echo\n"]);
    const body = "ä".repeat(30_000);
    expect(await said("/echo", { method: "POST", body, headers: { "content-type": plain } })).toEqual([
      200,
      plain,
      body,
    ]);
    expect(await said("/echo", { method: "POST", body: body.repeat(2) })).toEqual([
      413,
      plain,
      "the body is too long for this guest\n",
    ]);
  });

  test("R12.3: a component gives a long body back as it comes", async () => {
    const { "hello-http": hello } = await buildExamples(["hello-http"]);
    const spec = running.spec("component1", await readFile(hello.path), { name: "component" });
    await running.engine.start(spec);
    const body = Buffer.from(Array.from({ length: 1_000_000 }, (_, index) => (index * 7) % 256));
    const answer = await fetch(`${url}/component`, { method: "POST", body });
    expect([answer.status, Buffer.from(await answer.arrayBuffer()).equals(body)]).toEqual([200, true]);
  });

  test("R8.1: a guest that traps is 502, and until it is back 503", async () => {
    expect((await fetch(`${url}/trap`)).status).toBe(502);
    await running.event("instance.crashed");
    expect((await fetch(`${url}/trap`)).status).toBe(503);
    expect((await fetch(`${url}/hello`)).status).toBe(200);
  });
});

describe("R16.4: an http-server that is replaced", () => {
  let lab: HttpLab;
  const routes = [{ path: "/", target: "web" }];
  beforeAll(async () => {
    lab = await httpLab({ routes, reusePort: true });
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  test("no request is lost while servers take over each other's port under load", async () => {
    const end = await lab.respond("web", ({ body }) => ({ status: 200, body: body ?? new Uint8Array(0) }));
    const { port } = lab.server.address;
    const agent = new Agent({ connections: 8 });
    const failures: unknown[] = [];
    let answered = 0;
    let isOver = false;
    const load = async (lane: number) => {
      while (!isOver) {
        const sent = `lane ${lane} ${answered}`;
        try {
          const answer = await undiciRequest(lab.url, { method: "POST", body: sent, dispatcher: agent });
          const text = await answer.body.text();
          if (answer.statusCode !== 200 || text !== sent) failures.push([answer.statusCode, text]);
          answered += 1;
        } catch (error) {
          failures.push(error);
        }
      }
    };
    const lanes = Array.from({ length: 8 }, (_, lane) => load(lane));
    let current = lab.server;
    for (let update = 0; update < 5; update += 1) {
      const before = answered;
      const next = await lab.open({ routes, reusePort: true, port });
      await current.close();
      current = next;
      await vi.waitFor(() => expect(answered).toBeGreaterThan(before + 20));
    }
    isOver = true;
    await Promise.all(lanes);
    await agent.close();
    end();
    expect(failures).toEqual([]);
  });

  test("the older one finishes what it has, on connections that go on", async () => {
    const { port } = lab.server.address;
    const asked = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    const end = await lab.respond("slow", async () => {
      asked.resolve();
      await go.promise;
      return { status: 200, body: "from the older one" };
    });
    const older = await lab.open({ routes: [{ path: "/", target: "slow" }], reusePort: true, port });
    const agent = new Agent({ connections: 1 });
    const answer = undiciRequest(lab.url, { dispatcher: agent });
    await asked.promise;
    await lab.open({ routes: [{ path: "/", target: "nobody" }], reusePort: true, port });
    const closed = older.close();
    go.resolve();
    const { headers, body } = await answer;
    await closed;
    expect([headers["connection"], await body.text()]).toEqual(["keep-alive", "from the older one"]);
    const next = await undiciRequest(lab.url, { dispatcher: agent });
    expect([next.statusCode, await next.body.text()]).toEqual([
      503,
      "INSTANCE_UNAVAILABLE: nobody answers for this address now\n",
    ]);
    await agent.close();
    end();
  });

  test("two processes share a port: connections go to both, and to one once the other is closed", async () => {
    const first = await lab.open({ reusePort: true });
    // The same address in another spelling: sockets of its own, as another process has them.
    const second = await lab.open({ reusePort: true, port: first.address.port, host: "127.1", routes });
    const end = await lab.respond("web", () => ({ status: 200 }));
    const statuses = async () => {
      const seen = new Set<number>();
      for (let count = 0; count < 60; count += 1) {
        const agent = new Agent({ pipelining: 0 });
        const answer = await undiciRequest(`http://127.0.0.1:${first.address.port}`, { dispatcher: agent });
        await answer.body.dump();
        seen.add(answer.statusCode);
        await agent.close();
      }
      return [...seen].toSorted((one, other) => one - other);
    };
    expect(await statuses()).toEqual([200, 404]);
    await first.close();
    expect(await statuses()).toEqual([200]);
    await second.close();
    end();
  });

  test("what is in progress gets its answer, which says that it is the last, and then the connection ends", async () => {
    const closing = await lab.open({ routes });
    const asked = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    const end = await lab.respond("web", async () => {
      asked.resolve();
      await go.promise;
      return { status: 200, body: "the last" };
    });
    const answer = fetch(`http://127.0.0.1:${closing.address.port}/`);
    await asked.promise;
    const closed = closing.close();
    await expect(closing.check()).rejects.toMatchObject({ code: "PROVIDER_UNAVAILABLE" });
    go.resolve();
    const { headers, status } = await answer;
    await closed;
    end();
    expect([status, headers.get("connection")]).toEqual([200, "close"]);
    await expect(fetch(`http://127.0.0.1:${closing.address.port}/`)).rejects.toThrow("fetch failed");
  });

  test("a guest that never answers does not keep it from closing, nor does an idle connection", async () => {
    const closing = await lab.open({ routes, limits: { lingerMs: 50, drainMs: 300 } });
    const { port } = closing.address;
    const asked = Promise.withResolvers<void>();
    const end = await lab.respond("web", () => {
      asked.resolve();
      return new Promise(() => {});
    });
    const idle = connect({ port, host: "127.0.0.1" });
    const idleEnded = new Promise<void>((resolve) => idle.once("close", () => resolve()));
    idle.resume();
    const hanging = fetch(`http://127.0.0.1:${port}/`).catch(() => "cut off");
    await asked.promise;
    await closing.close();
    await idleEnded;
    end();
    expect(await hanging).toBe("cut off");
  });
});
