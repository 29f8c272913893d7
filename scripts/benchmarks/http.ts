import { subjectFor } from "../../src/protocol/addresses.ts";
import { startNatsServer } from "../../test/support/nats-server.ts";
import { compare, type Figure, median, short } from "./figure.ts";
import { lattice, startGuests } from "./guest-engine.ts";
import { cpuUsOf, type Program, startProgram } from "./program.ts";
import type { HttpResult, HttpRound } from "./programs/http-requester.ts";

const round = { connections: 64, durationMs: 600 };

/** HTTP requests to a guest, against node:http that asks a plain responder with nats.js; 64 connections, 32 bytes. */
export async function httpIn(name: string): Promise<Figure> {
  await using server = await startNatsServer();
  await using guests = await startGuests(server.url, "web", 1);
  const plainSubject = subjectFor("call", { lattice, target: "plain0", operation: "http-request" });
  using _responder = await startProgram("./programs/plain-echo.ts", [server.url, plainSubject]);
  using plain = await startProgram("./programs/plain-http-front.ts", [server.url, plainSubject]);
  using ours = await startProgram("./programs/our-http-front.ts", [
    server.url,
    lattice,
    guests.instanceIds[0] ?? "",
  ]);
  using requester = await startProgram("./programs/http-requester.ts", []);
  // "Hello, " and "!\n" around the name are the 32 bytes of the other.
  const toGuest = await rounds(requester, ours, "/hello?name=twenty-three-characters");
  const toPlain = await rounds(requester, plain, "/");
  const { spread, ...result } = await compare(
    () => toGuest.run(),
    () => toPlain.run(),
  );
  const note = `${toGuest.note("ours")}; ${toPlain.note("plain")}; ratio ${spread}`;
  return { name, unit: "requests/s", ...result, note };
}

/** Rounds against one server, and what the median of them says besides. */
async function rounds(requester: Program, front: Program, path: string) {
  const port = await front.ask<number>("port");
  const p50s: number[] = [];
  const p99s: number[] = [];
  let requests = 0;
  let us = 0;
  return {
    async run(): Promise<number> {
      const before = cpuUsOf(front.pid);
      const result = await requester.ask<HttpResult>({ ...round, port, path } satisfies HttpRound);
      us += cpuUsOf(front.pid) - before;
      requests += result.requests;
      p50s.push(result.p50Ms);
      p99s.push(result.p99Ms);
      return result.perSecond;
    },
    note: (whose: string) =>
      `${whose} p50 ${short(median(p50s))} ms, p99 ${short(median(p99s))} ms, CPU of the front ${short(us / requests)} µs`,
  };
}
