import type { Bus } from "../src/bus/bus.ts";
import { connectNats } from "../src/bus/nats-bus.ts";
import { cliLimits } from "../src/limits.ts";
import { createLog, type Log, type LogIdentity } from "../src/log.ts";
import { assertId } from "../src/protocol/ids.ts";
import { partReady } from "./part-ready.ts";
import { asNoBus, type Session } from "./session.ts";

/** What a part of a lattice is given. */
export interface PartSurroundings {
  readonly id: string;
  readonly bus: Bus;
  readonly log: Log;
}

/** Starts a part; `stop` drains it. */
export type Part = (
  session: Session,
  surroundings: PartSurroundings,
) => Promise<{ ready: Promise<void>; stop: () => Promise<void> }>;

/** Runs one part until the process is told to end, or until stdin ends where that says that its parent is gone. */
export async function runPart(
  session: Session,
  identity: { component: LogIdentity["component"]; id: string },
  endWithStdin: boolean,
  start: Part,
): Promise<void> {
  const { lattice, nats, creds, env } = session;
  assertId(lattice, "lattice");
  assertId(identity.id, "id");
  const log = createLog(
    { component: identity.component, lattice, node: identity.id },
    { level: env["LOG_LEVEL"] ?? "info", pretty: process.stderr.isTTY && !session.json },
  );
  const ended = endWithStdin ? AbortSignal.any([session.ended, stdinEnded()]) : session.ended;
  const bus = await connectNats({
    servers: nats.split(","),
    name: `${identity.component} ${identity.id}`,
    ...(creds === undefined ? {} : { credsFile: creds }),
    connectTimeoutMs: cliLimits.partConnectTimeoutMs,
    onStatus: (status) => log.info({ status }, `bus: ${status.type}`),
  }).catch((error: unknown) => {
    throw asNoBus(error);
  });
  try {
    const part = await start(session, { id: identity.id, bus, log });
    try {
      // Whoever ends it while it starts is not kept waiting for that.
      await Promise.race([part.ready, whenAborted(ended)]);
      if (!ended.aborted) {
        log.info(`${identity.component} ${identity.id} is ready`);
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
