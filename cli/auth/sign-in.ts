import type { BusOptions } from "../../src/bus/nats-bus.ts";
import type { TlsFiles } from "../../src/bus/nats-client.ts";
import type { Credentials } from "../../src/protocol/credentials.ts";
import { asFailure, Failure } from "../../src/protocol/errors.ts";
import { loadCredentials } from "../../src/trust/credentials-file.ts";
import { contextOf } from "./context.ts";

/** What says who somebody is on the bus. */
export interface SignInFlags {
  readonly nats: string;
  readonly creds?: string;
  readonly lattice?: string;
  readonly tlsCa?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

/** Where and as whom a process connects. */
export interface SignedIn {
  readonly nats: string;
  readonly lattice: string;
  /** The credentials file, if there is one. */
  readonly creds?: string;
  /** What is in it; undefined without one, and for a plain seed or a JWT. */
  readonly credentials: Credentials | undefined;
  readonly tls?: TlsFiles;
  /** Something that its owner should know. */
  readonly warning?: string;
}

/**
 * Finds out as whom to connect: `--creds`, else WASMATRIX_CREDS, else what `wasmatrix up` of this user left for that
 * server, else nobody. The lattice is that of the credentials unless another one is named, which is INVALID_REQUEST.
 * What it throws is marked so that the process ends as one that has no bus.
 */
export function signIn(flags: SignInFlags, env: NodeJS.ProcessEnv): SignedIn {
  const given = flags.creds ?? env["WASMATRIX_CREDS"];
  const context = given === undefined ? contextOf(env, flags.nats, flags.lattice) : undefined;
  const creds = given ?? context?.creds;
  const tls = tlsOf(flags);
  const common = { nats: flags.nats, ...(tls === undefined ? {} : { tls }) };
  if (creds === undefined) return { ...common, lattice: flags.lattice ?? "default", credentials: undefined };
  try {
    const { credentials, isExposed } = loadCredentials(creds);
    if (credentials !== undefined && flags.lattice !== undefined && flags.lattice !== credentials.lattice)
      throw elsewhere(creds, credentials, flags.lattice);
    const warning = isExposed
      ? { warning: `others than its owner may read ${creds}; chmod 600 ${creds}` }
      : {};
    return {
      ...common,
      lattice: credentials?.lattice ?? flags.lattice ?? "default",
      creds,
      credentials,
      ...warning,
    };
  } catch (error) {
    throw noBus(asFailure(error));
  }
}

/** Options of a connection; the second user of the credentials is for what is outside the lattice's own subjects. */
export function busOptionsOf(
  { nats, creds, credentials, tls }: Omit<SignedIn, "lattice">,
  user: "nats" | "application" = "nats",
): Omit<BusOptions, "name" | "connectTimeoutMs"> {
  return {
    servers: nats.split(","),
    ...(creds === undefined ? {} : { credsFile: creds }),
    ...(user === "application" && credentials !== undefined ? { user } : {}),
    ...(tls === undefined ? {} : { tls }),
  };
}

/** The same failure, marked so that it ends with the exit code for a bus out of reach. */
export function noBus(failure: Failure): Failure {
  return new Failure(failure.code, failure.message, {
    ...(failure.fix === undefined ? {} : { fix: failure.fix }),
    details: { ...failure.details, noBus: true },
    retry: failure.retry,
    cause: failure,
  });
}

function tlsOf({ tlsCa, tlsCert, tlsKey }: SignInFlags): TlsFiles | undefined {
  if (tlsCa === undefined && tlsCert === undefined && tlsKey === undefined) return undefined;
  return {
    ...(tlsCa === undefined ? {} : { caFile: tlsCa }),
    ...(tlsCert === undefined ? {} : { certFile: tlsCert }),
    ...(tlsKey === undefined ? {} : { keyFile: tlsKey }),
  };
}

function elsewhere(file: string, { lattice }: Credentials, wanted: string): Failure {
  return new Failure("INVALID_REQUEST", `${file} is for lattice ${lattice}, not for ${wanted.slice(0, 64)}`, {
    fix: `Leave out --lattice, or give credentials of lattice ${wanted.slice(0, 64)}.`,
  });
}
