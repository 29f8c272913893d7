import { z } from "zod";
import { messageLimits } from "../limits.ts";
import { KeyText, RoleName } from "../protocol/credentials.ts";
import { Failure } from "../protocol/errors.ts";
import { assertId, echo } from "../protocol/ids.ts";
import { Id } from "../protocol/instance-spec.ts";
import { assertTopic, hostingOf, type Identity } from "../protocol/roles.ts";

/** The public key of a NATS user. */
const UserKey = z.string().regex(/^U[A-Z2-7]{55}$/);
/** One key, or two while processes change over from the first to the second. */
const UserKeys = z.array(UserKey).min(1).max(2);

/** One who may sign in, with nothing secret. */
export const KnownIdentity = z.strictObject({
  role: RoleName,
  id: Id,
  keys: UserKeys,
  /** Of what its providers do outside the lattice's own subjects. */
  application: UserKeys.optional(),
  hosts: z.array(z.string()).max(messageLimits.hostsMax).optional(),
  topics: z.array(z.string()).optional(),
  /** When the certificate of a control plane ends; ISO 8601. */
  certificateUntil: z.iso.datetime().optional(),
});
export type KnownIdentity = z.infer<typeof KnownIdentity>;

/** How the server of a lattice is run. */
export const ServerSettings = z.strictObject({
  host: z.string(),
  port: z.int().min(1).max(65_535),
  /** Where JetStream keeps what it has. */
  store: z.string(),
  /** Its name and that of this server, where it listens for other servers, and where they are: host:port. */
  cluster: z
    .strictObject({ name: Id, serverName: Id, listen: z.string(), routes: z.array(z.string()) })
    .optional(),
  /** PEM files; with `verify` clients must show a certificate of that CA. */
  tls: z
    .strictObject({
      cert: z.string(),
      key: z.string(),
      ca: z.string().optional(),
      verify: z.boolean(),
    })
    .optional(),
});
export type ServerSettings = z.infer<typeof ServerSettings>;

/** `identities.json`: who may sign in to a lattice. It holds public keys alone. */
export const Identities = z.strictObject({
  version: z.literal(1),
  lattice: Id,
  server: ServerSettings,
  /** Public keys, the present one first. */
  roots: z.array(KeyText).min(1).max(messageLimits.trustRootsMax),
  identities: z.array(KnownIdentity),
});
export type Identities = z.infer<typeof Identities>;

/** What permissions are derived from. */
export function identityOf({ lattice }: Identities, known: KnownIdentity): Identity {
  const { role, id, hosts, topics } = known;
  return {
    role,
    id,
    lattice,
    ...(hosts === undefined ? {} : { hosts }),
    ...(topics === undefined ? {} : { topics }),
  };
}

/** The identity of that role and id; INVALID_REQUEST where there is none. */
export function findIdentity({ identities }: Identities, role: string, id: string): KnownIdentity {
  const found = identities.find((one) => one.role === role && one.id === id);
  if (found !== undefined) return found;
  throw new Failure("INVALID_REQUEST", `there is no ${role} ${echo(id)} here`, {
    fix: "`wasmatrix auth list` shows who there is.",
  });
}

/**
 * Throws INVALID_REQUEST for an identity that must not be made: an id that is none (`*` would be everybody), one that is
 * taken, by whichever role (a node and a provider of one id would state facts in one name), or what its role cannot have.
 */
export function assertNew({ identities }: Identities, role: string, id: string, flags: HostFlags): void {
  assertId(id, "id");
  const taken = identities.find(
    (one) => one.id === id && (one.role === role || (speaksFacts(one.role) && speaksFacts(role))),
  );
  if (taken !== undefined)
    throw new Failure("INVALID_REQUEST", `there is a ${taken.role} ${id} already`, {
      fix: `Choose another id; new keys for that one: wasmatrix auth rotate ${taken.role} ${id}`,
    });
  assertHosting(role, flags);
}

/** What an identity may host, and on which topics. */
export interface HostFlags {
  readonly hosts?: readonly string[] | undefined;
  readonly topics?: readonly string[] | undefined;
}

/** Throws INVALID_REQUEST for what that role cannot host. */
export function assertHosting(role: string, { hosts = [], topics }: HostFlags): void {
  if (hosts.length > messageLimits.hostsMax)
    throw new Failure("INVALID_REQUEST", `more than ${messageLimits.hostsMax} providers for one identity`);
  const kinds = hosts.map((text) => hostingOf(text).kind);
  if (!speaksFacts(role) && (hosts.length > 0 || topics !== undefined))
    throw new Failure("INVALID_REQUEST", `a ${role} hosts no providers`, {
      fix: "Leave out --hosts and --topics; a node or a provider may have them.",
    });
  if (role === "provider" && hosts.length === 0)
    throw new Failure("INVALID_REQUEST", "what may this provider process run?", {
      fix: "Say it: --hosts kv,messaging",
    });
  if (topics !== undefined && !kinds.some((kind) => kind === "messaging" || kind === "*"))
    throw new Failure("INVALID_REQUEST", "topics are for those who host messaging", {
      fix: "Add messaging to --hosts, or leave out --topics.",
    });
  for (const topic of topics ?? []) assertTopic(topic);
}

function speaksFacts(role: string): boolean {
  return role === "node" || role === "provider";
}
