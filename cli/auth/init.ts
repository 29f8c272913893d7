import { join, resolve } from "node:path";
import { Failure } from "../../src/protocol/errors.ts";
import { type AuthDirectory, newAuthDirectory, withLock } from "../../src/trust/auth-directory.ts";
import type { ServerSettings } from "../../src/trust/identities.ts";
import { addIdentity, type Change, writeChange } from "../../src/trust/membership.ts";
import type { Session } from "../session.ts";

/** What `auth init` may be told; certificates come with the flags that every command takes. */
export interface InitFlags {
  readonly host: string;
  readonly port: number;
  readonly store?: string;
  readonly cluster?: string;
  readonly clusterListen?: string;
  readonly routes?: readonly string[];
  readonly tlsVerify: boolean;
}

/** What the standard provider process runs. */
const standardHosts = ["kv", "http", "http-server", "messaging", "blobstore"];

/** Makes a folder with one identity of each role. */
export function initDirectory(session: Session, path: string, flags: InitFlags): AuthDirectory {
  return makeDirectory(session, path, settingsFrom(session, path, flags), {
    hostsOfNode: undefined,
    hostsOfProvider: standardHosts,
  });
}

/** The same for `up`, whose parts are all of one user on one machine and may run whatever it asks them to. */
export function makeDirectory(
  { clock, lattice }: Pick<Session, "clock" | "lattice">,
  path: string,
  server: ServerSettings,
  hosts: { hostsOfNode: readonly string[] | undefined; hostsOfProvider: readonly string[] },
): AuthDirectory {
  return withLock(path, () => {
    let made: Change = { directory: newAuthDirectory(path, lattice, server), written: [], removed: [] };
    const add = (
      ...[role, id, flags]: [Parameters<typeof addIdentity>[2], string, { hosts?: readonly string[] }?]
    ) => {
      const next = addIdentity(made.directory, clock, role, id, flags);
      made = { ...next, written: [...made.written, ...next.written] };
    };
    add("operator", "operator");
    add("control-plane", "cp-1");
    add("node", "node-1", hosts.hostsOfNode === undefined ? {} : { hosts: hosts.hostsOfNode });
    add("provider", "providers-1", { hosts: hosts.hostsOfProvider });
    add("observer", "observer");
    writeChange(made);
    return made.directory;
  });
}

function settingsFrom(session: Session, path: string, flags: InitFlags): ServerSettings {
  const { tlsCa, tlsCert, tlsKey } = session;
  const { host, port, cluster, routes = [], clusterListen = `${host}:6222`, tlsVerify } = flags;
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw new Failure("INVALID_REQUEST", "a certificate and its key belong together", {
      fix: "Give both --tls-cert and --tls-key, those of the server.",
    });
  if ((cluster === undefined) !== (routes.length === 0))
    throw new Failure("INVALID_REQUEST", "a cluster has a name, and other servers", {
      fix: "Give both --cluster <name> and --routes <host:6222,…>; JetStream does not start in a cluster of one.",
    });
  if (tlsVerify && (tlsCa === undefined || tlsCert === undefined))
    throw new Failure("INVALID_REQUEST", "certificates of clients cannot be checked", {
      fix: "Give --tls-ca, --tls-cert and --tls-key with --tls-verify.",
    });
  const tls =
    tlsCert === undefined || tlsKey === undefined
      ? {}
      : {
          tls: {
            cert: resolve(tlsCert),
            key: resolve(tlsKey),
            ...(tlsCa === undefined ? {} : { ca: resolve(tlsCa) }),
            verify: tlsVerify,
          },
        };
  return {
    host,
    port,
    store: resolve(flags.store ?? join(path, "jetstream")),
    ...(cluster === undefined
      ? {}
      : {
          cluster: { name: cluster, serverName: `${cluster}-1`, listen: clusterListen, routes: [...routes] },
        }),
    ...tls,
  };
}
