import type { Bus } from "../src/bus/bus.ts";
import { createRefusals } from "../src/bus/refusals.ts";
import { assertNoStrangers } from "../src/bus/strangers.ts";
import { connectNats } from "../src/bus/nats-bus.ts";
import { cliLimits } from "../src/limits.ts";
import { createLog, type Log } from "../src/log.ts";
import type { Credentials } from "../src/protocol/credentials.ts";
import { Failure } from "../src/protocol/errors.ts";
import { assertId, echo } from "../src/protocol/ids.ts";
import { joinHere } from "./auth/join-here.ts";
import { busOptionsOf, noBus, type SignInFlags } from "./auth/sign-in.ts";
import { partReady } from "./part-ready.ts";
import { asNoBus, type Session, signedIn } from "./session.ts";

/** What a part of a lattice is given. */
export interface PartSurroundings {
  readonly id: string;
  readonly bus: Bus;
  readonly log: Log;
  /** Who it is; undefined on a bus without roles, and for a seed or a JWT that somebody else wrote. */
  readonly credentials: Credentials | undefined;
}

/** Which part a process is. */
export interface PartIdentity {
  readonly component: "control-plane" | "node" | "provider";
  /** What `--id` says. */
  readonly id: string | undefined;
  /** Its name where neither that nor its credentials say. */
  readonly idOtherwise: string;
}

/** Starts a part; `stop` drains it. */
export type Part = (
  session: Session,
  surroundings: PartSurroundings,
) => Promise<{ ready: Promise<void>; stop: () => Promise<void> }>;

/** Runs one part until the process is told to end, or until stdin ends where that says that its parent is gone. */
export async function runPart(
  unsigned: Session,
  flags: SignInFlags,
  identity: PartIdentity,
  endWithStdin: boolean,
  start: Part,
): Promise<void> {
  const { component, id: wanted, idOtherwise } = identity;
  const own = await joinHere(unsigned, flags, { role: component, id: wanted, idOtherwise });
  const session = signedIn(unsigned, own === undefined ? flags : { ...flags, creds: own });
  const { lattice, credentials, env } = session;
  const id = idOf(identity, credentials);
  assertId(lattice, "lattice");
  assertId(id, "id");
  const log = createLog(
    { component, lattice, node: id },
    { level: env["LOG_LEVEL"] ?? "info", pretty: process.stderr.isTTY && !session.json },
  );
  let isUnauthorized = false;
  const refusals = createRefusals(session.clock, (refusal) =>
    log.warn({ ...refusal }, "the bus refuses this part something"),
  );
  const ended = endWithStdin ? AbortSignal.any([session.ended, stdinEnded()]) : session.ended;
  const bus = await connectNats({
    ...busOptionsOf(session),
    name: `${component} ${id}`,
    connectTimeoutMs: cliLimits.partConnectTimeoutMs,
    // Nodes and providers count refusals and tell of them; a control plane has only its log.
    onStatus: (status) => {
      // Each try to come back is refused, some times a second, until the credentials are replaced.
      const isRepeated = status.type === "unauthorized" && isUnauthorized;
      isUnauthorized = status.type === "unauthorized" || (isUnauthorized && status.type === "disconnected");
      if (isRepeated) return;
      if (status.type !== "refused") log.info({ status }, `bus: ${status.type}`);
      else if (component === "control-plane") refusals.add(status.operation, status.subject);
    },
  }).catch((error: unknown) => {
    throw asNoBus(error);
  });
  try {
    // Roles protect nobody where a stranger gets in without any.
    if (session.creds !== undefined) await assertNoStrangers(busOptionsOf(session), session.clock);
    const part = await start(session, { id, bus, log, credentials });
    try {
      // Whoever ends it while it starts is not kept waiting for that.
      await Promise.race([part.ready, whenAborted(ended)]);
      if (!ended.aborted) {
        log.info(`${component} ${id} is ready`);
        // Only `up` listens there.
        process.send?.(partReady);
      }
      await whenAborted(ended);
    } finally {
      await part.stop();
    }
  } finally {
    await bus.close();
    if (endWithStdin) process.stdin.destroy();
  }
}

/** The name of a part: what its credentials say, for the bus lets it have no other. */
function idOf({ component, id, idOtherwise }: PartIdentity, credentials: Credentials | undefined): string {
  if (credentials === undefined) return id ?? idOtherwise;
  if (credentials.role !== component)
    throw noBus(
      new Failure(
        "INVALID_REQUEST",
        `these are credentials of the ${credentials.role} ${credentials.id}, not of a ${component}`,
        {
          fix: `Make some: wasmatrix auth add ${component} <id>, and give them with --creds.`,
          details: { role: credentials.role, wanted: component },
        },
      ),
    );
  if (id !== undefined && id !== credentials.id)
    throw noBus(
      new Failure("INVALID_REQUEST", `these are credentials of ${credentials.id}, not of ${echo(id)}`, {
        fix: "Leave out --id, or give the credentials of that one.",
        details: { id: credentials.id },
      }),
    );
  return credentials.id;
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function stdinEnded(): AbortSignal {
  const controller = new AbortController();
  for (const event of ["end", "close", "error"] as const) process.stdin.once(event, () => controller.abort());
  process.stdin.resume();
  return controller.signal;
}
