import { subjectFor } from "../../src/protocol/addresses.ts";
import { startNatsServer } from "../../test/support/nats-server.ts";
import { compare, type Figure, short } from "./figure.ts";
import { lattice, startGuests } from "./guest-engine.ts";
import type { LoadResult } from "./in-flight.ts";
import { cpuUsOf, type Program, startProgram } from "./program.ts";
import type { RequestRound } from "./programs/our-requester.ts";

const roundMs = 600;

/** As long as the subject of a guest, so that both are equally much work for the server. */
const plainSubject = subjectFor("call", { lattice, target: "plain0", operation: "echo" });

/** Our requests against those of nats.js, both to the same plain responder. */
export async function requests(name: string): Promise<Figure> {
  await using server = await startNatsServer();
  using _responder = await startProgram("./programs/plain-echo.ts", [server.url, plainSubject]);
  using ours = await startProgram("./programs/our-requester.ts", [server.url]);
  using theirs = await startProgram("./programs/nats-requester.ts", [server.url]);
  const round = echoRound(plainSubject, 32, 64);
  const cpu = { ours: 0, theirs: 0 };
  const { spread, ...result } = await compare(
    async () => perSecond(await ours.ask<LoadResult>(round), (us) => (cpu.ours = us)),
    async () => perSecond(await theirs.ask<LoadResult>(round), (us) => (cpu.theirs = us)),
  );
  const note = `requester CPU per call ${short(cpu.ours)} µs, nats.js ${short(cpu.theirs)} µs; ratio ${spread}`;
  return { name, unit: "calls/s", ...result, note };
}

/** Calls of an echo guest in a cell against a plain responder, both by our requester. */
export async function echoCalls(name: string, payloadBytes: number, inFlight: number): Promise<Figure> {
  await using server = await startNatsServer();
  await using guests = await startGuests(server.url, "echo", 1);
  using plain = await startProgram("./programs/plain-echo.ts", [server.url, plainSubject]);
  using requester = await startProgram("./programs/our-requester.ts", [server.url]);
  const guestSubject = subjectFor("call", {
    lattice,
    target: guests.instanceIds[0] ?? "",
    operation: "echo",
  });
  const cell = measured(requester, guests.pid, echoRound(guestSubject, payloadBytes, inFlight));
  const echo = measured(requester, plain.pid, echoRound(plainSubject, payloadBytes, inFlight));
  const latency = inFlight === 1;
  const of = (result: LoadResult) => (latency ? result.p50Us : result.perSecond);
  const { spread, ...result } = await compare(
    async () => of(await cell.round()),
    async () => of(await echo.round()),
  );
  const cpu = `CPU per call: engine ${short(cell.cpuUs())} µs, plain responder ${short(echo.cpuUs())} µs`;
  const note = `${latency ? "lower is better; " : ""}${cpu}; ratio ${spread}`;
  return { name, unit: latency ? "µs" : "calls/s", ...result, note };
}

/** Calls of our echo guest by our client against those of Moleculer's echo action by its own. */
export async function moleculerCalls(name: string): Promise<Figure> {
  await using server = await startNatsServer();
  await using guests = await startGuests(server.url, "echo", 1);
  using ours = await startProgram("./programs/our-requester.ts", [server.url]);
  using _echo = await startProgram("./peers/moleculer-echo.mjs", [server.url]);
  using theirs = await startProgram("./peers/moleculer-requester.mjs", [server.url]);
  const subject = subjectFor("call", { lattice, target: guests.instanceIds[0] ?? "", operation: "echo" });
  const round = echoRound(subject, 32, 64);
  const { spread, ...result } = await compare(
    async () => (await ours.ask<LoadResult>(round)).perSecond,
    async () => (await theirs.ask<LoadResult>(round)).perSecond,
  );
  return {
    name,
    unit: "calls/s",
    ...result,
    note: `Moleculer 0.15, NATS transporter, JSON; ratio ${spread}`,
  };
}

function echoRound(subject: string, payloadBytes: number, inFlight: number): RequestRound {
  return { subjects: [subject], payloadBytes, answerBytes: payloadBytes, inFlight, durationMs: roundMs };
}

function perSecond(result: LoadResult, cpu: (us: number) => void): number {
  cpu(result.cpuUs);
  return result.perSecond;
}

/** Rounds of one requester, with the CPU that the answering process spends on them. */
export function measured(requester: Program, answererPid: number, question: RequestRound) {
  let calls = 0;
  let us = 0;
  return {
    async round(): Promise<LoadResult> {
      const before = cpuUsOf(answererPid);
      const result = await requester.ask<LoadResult>(question);
      us += cpuUsOf(answererPid) - before;
      calls += result.calls;
      return result;
    },
    cpuUs: () => us / calls,
  };
}
