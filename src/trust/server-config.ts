import { authLimits } from "../limits.ts";
import { applicationPermissionsOf, type BusPermissions, permissionsOf } from "../protocol/roles.ts";
import { type Identities, identityOf, type KnownIdentity } from "./identities.ts";

const sayings = [
  "# Written by `wasmatrix auth`; what is changed here by hand is lost with its next change.",
  "# Users stand in an account and nowhere else: `authorization { users }` beside `accounts` let anybody in on some",
  "# versions (CVE-2023-47090), and `no_auth_user` on all of them.",
];

/** The users of a lattice as nats-server reads them, with nothing secret: what its other servers include as well. */
export function accountsConfig(known: Identities): string {
  const applications = known.identities
    .filter(({ application }) => application !== undefined)
    .map(({ id }) => id);
  const users = known.identities.flatMap((one) => usersOf(known, one, applications));
  return [
    ...sayings,
    "accounts {",
    "  WASMATRIX {",
    "    jetstream: enabled",
    "    users: [",
    ...users.map((user) => `      ${user}`),
    "    ]",
    "  }",
    "  SYS {}",
    "}",
    "system_account: SYS",
    "",
  ].join("\n");
}

/** The configuration of one server; it includes `accounts.conf` beside it. */
export function serverConfig(
  { server }: Identities,
  files: { readonly pidFile: string; readonly routePassword: string },
): string {
  const { host, port, store, tls, cluster } = server;
  const lines = [
    ...sayings,
    `host: ${quoted(host)}`,
    `port: ${port}`,
    `pid_file: ${quoted(files.pidFile)}`,
    `jetstream { store_dir: ${quoted(store)} }`,
    `include ./accounts.conf`,
  ];
  if (tls !== undefined) {
    lines.push(
      "tls {",
      `  cert_file: ${quoted(tls.cert)}`,
      `  key_file: ${quoted(tls.key)}`,
      ...(tls.ca === undefined ? [] : [`  ca_file: ${quoted(tls.ca)}`]),
      `  verify: ${tls.verify}`,
      "}",
    );
  }
  if (cluster !== undefined) {
    const routes = cluster.routes.map((route) =>
      quoted(`nats-route://route:${files.routePassword}@${route}`),
    );
    lines.push(
      "# Without its own authorization this port lets anybody pass every user and permission.",
      `server_name: ${quoted(cluster.serverName)}`,
      `ping_interval: "${authLimits.serverPingMs}ms"`,
      `ping_max: ${authLimits.serverPingsUnansweredMax}`,
      `write_deadline: "${authLimits.serverWriteDeadlineMs}ms"`,
      "cluster {",
      `  name: ${quoted(cluster.name)}`,
      `  listen: ${quoted(cluster.listen)}`,
      `  authorization { user: "route", password: ${quoted(files.routePassword)}, timeout: 2 }`,
      `  routes: [ ${routes.join(", ")} ]`,
      "}",
    );
  }
  return [...lines, ""].join("\n");
}

function usersOf(known: Identities, one: KnownIdentity, applications: readonly string[]): string[] {
  const identity = identityOf(known, one);
  const own = permissionsOf(identity);
  const outside = applicationPermissionsOf(identity, applications);
  return [
    ...one.keys.map((key) => user(key, own)),
    ...(outside === undefined ? [] : (one.application ?? []).map((key) => user(key, outside))),
  ];
}

function user(nkey: string, { publish, subscribe }: BusPermissions): string {
  // The server takes an empty list for none at all, and then allows everything.
  if (publish.allow.length === 0 || subscribe.allow.length === 0)
    throw new Error("a user that may do nothing");
  const permissions = { publish: shown(publish), subscribe: shown(subscribe) };
  return JSON.stringify({ nkey, permissions });
}

function shown({ allow, deny }: BusPermissions["publish"]): object {
  return deny.length === 0 ? { allow } : { allow, deny };
}

/** JSON's escapes are those of the server's configuration for what stands in paths and names. */
function quoted(text: string): string {
  return JSON.stringify(text);
}
