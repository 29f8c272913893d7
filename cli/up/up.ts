import { mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { createActor, toPromise } from "xstate";
import type { ChildSpec } from "../../actors/supervisor/child-spec.ts";
import { supervisorMachine } from "../../actors/supervisor/supervisor-machine.ts";
import { assertNoStrangers } from "../../src/bus/strangers.ts";
import { systemChance } from "../../src/chance.ts";
import { etcdEndpoints } from "../../src/directory/endpoints.ts";
import { cliLimits } from "../../src/limits.ts";
import { assertId } from "../../src/protocol/ids.ts";
import { stateHome } from "../auth/context.ts";
import { pairs } from "../render/table.ts";
import type { Session } from "../session.ts";
import { partReady } from "../part-ready.ts";
import { freePort, natsCommand } from "./nats-part.ts";
import { partMachine, type PartInput } from "./part-machine.ts";
import { announceAuth, prepareAuth } from "./up-auth.ts";
import { untilAnswering } from "./until-answering.ts";

const program = fileURLToPath(new URL("../../bin/wasmatrix", import.meta.url));

/** What `up` may be told. */
export interface UpFlags {
  readonly port?: number;
  readonly httpPort?: number;
  readonly state?: string;
  readonly cells?: string;
  /** Without roles: whoever reaches the bus may do everything. */
  readonly open?: boolean;
  /** Addresses of etcd, for all parts. */
  readonly etcd?: string;
}

/** Runs a whole lattice on this machine until the session ends: the bus, a control plane, a node, the providers. */
export async function up(session: Session, flags: UpFlags): Promise<void> {
  const { lattice, paint, clock, env } = session;
  assertId(lattice, "lattice");
  const state = resolve(flags.state ?? join(stateHome(env), lattice));
  const logs = join(state, "logs");
  mkdirSync(logs, { recursive: true });
  const etcd = flags.etcd === undefined ? [] : ["--etcd", etcdEndpoints(flags.etcd).join(",")];
  const port = await freePort("--port", flags.port, [4222]);
  const httpPort = await freePort("--http-port", flags.httpPort, httpPorts);
  const auth = flags.open === true ? undefined : prepareAuth(session, state, port);
  const url = auth?.url ?? `nats://127.0.0.1:${port}`;
  const http = `http://127.0.0.1:${httpPort}`;
  const starting = new Set<string>();
  const allReady = Promise.withResolvers<void>();
  const part = (id: string, command: string, args: readonly string[], saysWhenReady: boolean): ChildSpec => {
    const input: PartInput = {
      id,
      command,
      args,
      saysWhenReady,
      // Who it is stands in its flags, or nowhere.
      env: { ...env, NATS_URL: url, WASMATRIX_CREDS: undefined },
      logFile: join(logs, `${id}.log`),
    };
    return {
      id,
      logic: partMachine,
      input,
      restart: "permanent",
      policy,
      stopMs: cliLimits.partStopMs + 1_000,
    };
  };
  const own = (id: string, role: "control-plane" | "node" | "provider", ...args: string[]) => {
    starting.add(id);
    const creds = auth === undefined ? [] : ["--creds", auth.credsFile(role)];
    const common = ["--nats", url, "--lattice", lattice, ...creds];
    return part(id, program, [...common, ...args, ...etcd, "--end-with-stdin"], true);
  };
  const nats = natsCommand(port, state, auth?.config);
  const cells = flags.cells === undefined ? [] : ["--cells", flags.cells];
  const supervisor = createActor(supervisorMachine, {
    input: {
      children: [
        part("nats-server", nats.command, nats.args, false),
        own("control-plane", "control-plane", "control-plane"),
        own("providers", "provider", ...standardProviders(`127.0.0.1:${httpPort}`)),
        own("node", "node", "node", "--id", "node-1", "--modules", join(state, "modules"), ...cells),
      ],
      now: () => clock.now(),
      chance: systemChance,
      escalate: true,
    },
  });
  const say = (text: string) => session.writeError(`${text}\n`);
  supervisor.on("child.told", ({ id, event }) => {
    if (event.type === partReady.type && starting.delete(id) && starting.size === 0) allReady.resolve();
  });
  supervisor.on("child.crashed", ({ id, reason }) => {
    say(`${paint.red(`${id} crashed`)}: ${reason}`);
    say(paint.dim(tailOf(join(logs, `${id}.log`))));
  });
  supervisor.on("child.restarting", ({ id }) => say(`${paint.yellow(id)} is started again`));
  const ended = toPromise(supervisor);
  supervisor.start();
  const stop = () => {
    if (!session.json) say(paint.dim("ending: node, providers, control plane, bus …"));
    supervisor.send({ type: "stop" });
  };
  session.ended.addEventListener("abort", stop, { once: true });

  let forget = () => {};
  try {
    const abandoned = AbortSignal.any([session.ended, abortedBy(ended)]);
    const creds = auth?.credsFile("operator");
    const answers = await untilAnswering(session, url, creds, allReady.promise, abandoned);
    if (answers) {
      // Each part has looked as well; this one says it to whoever started them.
      if (auth !== undefined) await assertNoStrangers({ servers: url }, clock);
      forget = announceAuth(session, url, auth);
      session.show(
        { ok: true, nats: url, http, lattice, state, logs, ...(creds === undefined ? {} : { creds }) },
        () => welcome(session, { url, http, state, logs, creds }),
      );
    }
  } catch (error) {
    stop();
    await ended.catch(() => undefined);
    throw error;
  }
  await ended.finally(() => forget());
}

/** Of the http server: the usual one, and those that people take when that is in use. */
const httpPorts = [8080, 8081, 8082, 8083, 8084, 8085, 8086, 8087, 8088, 8089];

/**
 * One process for all of them: it starts in the time of one, and calls to a provider do not pass through a node's
 * agent, which steers. What they store is in the bus, so that it outlasts them.
 */
function standardProviders(listen: string): string[] {
  return [
    "provider",
    "kv",
    "http",
    "http-server",
    "messaging",
    "blobstore",
    "--id",
    "providers-1",
    "--backend",
    "kv=nats",
    "--backend",
    "blobstore=nats",
    "--config",
    `http-server.listen=${listen}`,
  ];
}

const policy = { type: "backoff", delayMs: 200, maxDelayMs: 5_000, maxRetries: 5 } as const;

function welcome(
  { paint, lattice }: Session,
  at: { url: string; http: string; state: string; logs: string; creds: string | undefined },
): string {
  const facts = pairs(paint, [
    ["lattice", paint.bold(lattice)],
    ["bus", paint.bold(at.url)],
    [
      "http",
      `${paint.bold(at.http)}  ${paint.dim("for guests with a grant like web=http-server:serve?path=/")}`,
    ],
    [
      "operator",
      at.creds === undefined
        ? paint.yellow("anybody who reaches the bus")
        : `${at.creds}  ${paint.dim("found by itself on this machine; --creds elsewhere")}`,
    ],
    ["state", at.state],
    ["logs", at.logs],
  ]);
  const option = lattice === "default" ? "" : ` --lattice ${lattice}`;
  return [
    "",
    `${paint.green("●")} ${paint.bold("wasmatrix is up")}`,
    "",
    facts,
    "",
    `${paint.dim("in another terminal")}`,
    `  export NATS_URL=${at.url}`,
    `  wasmatrix${option} start build/examples/echo.wasm --name echo`,
    `  wasmatrix${option} call echo say hello`,
    `  wasmatrix${option} facts -f`,
    "",
    paint.dim("Ctrl-C ends it all"),
  ].join("\n");
}

function tailOf(file: string): string {
  try {
    return readFileSync(file, "utf8").trimEnd().split("\n").slice(-cliLimits.logTailLines).join("\n");
  } catch {
    return "(no log)";
  }
}

function abortedBy(ended: Promise<unknown>): AbortSignal {
  const controller = new AbortController();
  const abort = () => controller.abort();
  ended.then(abort, abort);
  return controller.signal;
}
