import type { Command } from "commander";
import { type Client, connect } from "../src/client/client.ts";
import { type Clock, timestamp } from "../src/clock.ts";
import { asFailure, type Failure } from "../src/protocol/errors.ts";
import { busOptionsOf, noBus, type SignedIn, signIn, type SignInFlags } from "./auth/sign-in.ts";
import { failureText } from "./render/failure.ts";
import type { Paint } from "./render/paint.ts";

/** What the command line touches of the world; tests hand in their own. */
export interface Surroundings {
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly paint: Paint;
  /** Colours of stderr, which may be elsewhere than stdout. */
  readonly errorPaint: Paint;
  /** Whether stderr shows a line that is written over again; no unless said. */
  readonly errorIsTerminal?: boolean;
  readonly write: (text: string | Uint8Array) => void;
  readonly writeError: (text: string) => void;
  readonly readInput: () => Promise<Uint8Array<ArrayBuffer>>;
  /** Aborted by SIGINT and SIGTERM. */
  readonly ended: AbortSignal;
  readonly connect: typeof connect;
  readonly exit: (code: number) => void;
}

/** The flags that every command takes. */
export interface GlobalFlags extends SignInFlags {
  readonly json: boolean;
}

/** What one command works with. */
export interface Session
  extends Surroundings, Omit<GlobalFlags, "lattice">, Omit<SignedIn, "nats" | "creds"> {
  /** Whether somebody said where the bus is. */
  readonly natsGiven: boolean;
  /** Prints the value with `--json`, else the text. */
  readonly show: (value: unknown, text: () => string) => void;
}

/** Exit codes of the contract. */
export const exitCodes = { done: 0, failed: 1, usage: 2, noBus: 3 } as const;

/** Runs a command with its session, and turns what it throws into the exit code and a message on stderr. */
export async function runWith(
  surroundings: Surroundings,
  command: Command,
  work: (session: Session) => Promise<void>,
): Promise<void> {
  const flags = command.optsWithGlobals<GlobalFlags>();
  const show: Session["show"] = (value, text) =>
    surroundings.write(`${flags.json ? JSON.stringify(value) : text()}\n`);
  const lattice = flags.lattice ?? "default";
  const natsGiven =
    command.getOptionValueSourceWithGlobals("nats") === "cli" || "NATS_URL" in surroundings.env;
  try {
    await work({ ...surroundings, ...flags, lattice, credentials: undefined, natsGiven, show });
  } catch (error) {
    const form = { json: flags.json, paint: surroundings.errorPaint, at: timestamp(surroundings.clock) };
    surroundings.writeError(`${failureText(error, form)}\n`);
    surroundings.exit(asFailure(error).details?.["noBus"] === true ? exitCodes.noBus : exitCodes.failed);
  }
}

/** Runs a command that speaks to a lattice; the connection is closed after it. */
export async function withClient(
  surroundings: Surroundings,
  command: Command,
  work: (client: Client, session: Session) => Promise<void>,
): Promise<void> {
  await runWith(surroundings, command, async (unsigned) => {
    const session = signedIn(unsigned, command.optsWithGlobals<GlobalFlags>());
    const client = await connectTo(session);
    try {
      await work(client, session);
    } finally {
      await client.close();
    }
  });
}

/** The session as whoever its flags, its environment or a lattice of this machine say; throws where they are of no use. */
export function signedIn(session: Session, flags: SignInFlags): Session {
  const identity = signIn(flags, session.env);
  if (identity.warning !== undefined) session.writeError(`${session.errorPaint.yellow(identity.warning)}\n`);
  return { ...session, ...identity };
}

async function connectTo(session: Session): Promise<Client> {
  const { connect: open, lattice } = session;
  try {
    return await open({ ...busOptionsOf(session), lattice, name: "wasmatrix-cli" });
  } catch (error) {
    throw asNoBus(error);
  }
}

/** A failure to connect, marked so that it ends with the exit code for a bus out of reach. */
export function asNoBus(error: unknown): Failure {
  const failure = asFailure(error);
  // Credentials and files of TLS that cannot be read are refused before anything is sent.
  return failure.code === "COMMUNICATION_FAILURE" || failure.details?.["credsFile"] !== undefined
    ? noBus(failure)
    : failure;
}
