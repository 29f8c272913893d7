import { lookup } from "node:dns/promises";
import { type LookupFunction, type Socket, isIP } from "node:net";
import { buildConnector } from "undici";
import { Failure } from "../../protocol/errors.ts";
import { echo } from "../../protocol/ids.ts";
import { addressClass } from "./addresses.ts";
import { type HttpClientLimits, exhausted } from "./failures.ts";

/** An address as a lookup gives it. */
export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** All addresses of a host name; rejects as `dns.lookup` does. */
export type Resolve = (hostname: string) => Promise<readonly ResolvedAddress[]>;

/** The system's own way: its hosts file, then DNS. */
export const systemResolve: Resolve = (hostname) => lookup(hostname, { all: true });

/** Whom connections may lead to, and how they are made. */
export interface ConnectPolicy {
  /** Also this machine and the network around it. */
  readonly allowPrivate: boolean;
  readonly resolve: Resolve;
  readonly limits: HttpClientLimits;
  /** Certificates in PEM that are trusted instead of the usual ones. */
  readonly ca: string | undefined;
}

/**
 * Makes the connections of one policy; one pool must never serve two. A name is looked up once for each: every
 * answer is checked, the connection goes to one of those very answers, and where it arrived is checked again, so that
 * a name which changes its address meanwhile (DNS rebinding) leads nowhere. Fails with PERMISSION_DENIED.
 */
export function createConnector(policy: ConnectPolicy): buildConnector.connector {
  const { limits, ca } = policy;
  const open = new Set<Socket>();
  const connect = buildConnector({
    allowH2: false,
    timeout: limits.connectTimeoutMs,
    lookup: checkedLookup(policy),
    ...(ca === undefined ? {} : { ca }),
  });
  return (options, callback) => {
    // The system is not asked about what is an address already.
    const literal =
      isIP(options.hostname) === 0 ? undefined : refusal([options.hostname], options.hostname, policy);
    if (literal !== undefined) return callback(literal, null);
    if (open.size >= limits.socketsMax) {
      return callback(
        exhausted("socketsMax", limits, "Too many servers are talked to at once.", "later"),
        null,
      );
    }
    connect(options, (...outcome) => {
      const [error, socket] = outcome;
      if (error !== null) return callback(error, null);
      const failure = refusal([socket.remoteAddress], options.hostname, policy);
      if (failure !== undefined) {
        socket.destroy();
        return callback(failure, null);
      }
      open.add(socket);
      socket.once("close", () => open.delete(socket));
      callback(null, socket);
    });
  };
}

/** Why not all of these addresses may be talked to, or undefined. No address is named: they are of a network's inside. */
export function refusal(
  addresses: readonly (string | undefined)[],
  host: string,
  { allowPrivate }: Pick<ConnectPolicy, "allowPrivate">,
): Failure | undefined {
  const classes = new Set(addresses.map((address) => addressClass(address ?? "")));
  if (classes.has("never")) {
    return new Failure("PERMISSION_DENIED", `http: ${echo(host)} is not the address of one host`, {
      fix: "No grant covers such addresses: they are of many hosts, of none, or hide another one.",
    });
  }
  if (!classes.has("private") || allowPrivate) return undefined;
  return new Failure("PERMISSION_DENIED", `http: ${echo(host)} does not lead to the Internet alone`, {
    fix: "Grant http:private if it is meant to reach this machine and the network around it.",
    details: { permission: "http:private", operation: "request" },
  });
}

function checkedLookup(policy: ConnectPolicy): LookupFunction {
  return (hostname, options, callback) => {
    policy.resolve(hostname).then(
      (answers) => {
        const [first] = answers;
        const failure =
          first === undefined
            ? new Failure("COMMUNICATION_FAILURE", `http: ${echo(hostname)} has no address`)
            : refusal(
                answers.map(({ address }) => address),
                hostname,
                policy,
              );
        if (failure !== undefined || first === undefined) callback(failure ?? null, "");
        else if (options.all === true) callback(null, [...answers]);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, ""),
    );
  };
}
