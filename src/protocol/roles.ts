import { filterFor } from "./addresses.ts";
import { inboxPrefixOf } from "./credentials.ts";
import { Failure } from "./errors.ts";
import { echo, isId } from "./ids.ts";
import { reservedTopic, topicProblem, topicScope } from "./scopes.ts";
import type { Role, SubjectRow } from "./subject-row.ts";
import { type SubjectName, type SubjectParameters, subjects } from "./subjects.ts";

/** Who somebody is, as far as it says what it may do on the bus. */
export interface Identity {
  readonly role: Role;
  readonly id: string;
  readonly lattice: string;
  /** Providers that a node or a provider process may run: `kv`, `<name>=<kind>`, or `*` for any. */
  readonly hosts?: readonly string[];
  /** Topics that its messaging provider may use; any that is an application's without them. */
  readonly topics?: readonly string[];
}

/** Filters of subjects, as a server takes them; what is in no `allow` is refused, and `deny` counts more. */
export interface BusPermissions {
  readonly publish: SubjectFilters;
  readonly subscribe: SubjectFilters;
}
export interface SubjectFilters {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

/** One provider that an identity may run. */
export interface Hosting {
  /** What it is called on the lattice; `*` for anything. */
  readonly name: string;
  readonly kind: string;
}

/** Reads `kv`, `<name>=<kind>` or `*`; INVALID_REQUEST for anything else. */
export function hostingOf(text: string): Hosting {
  if (text === "*") return { name: "*", kind: "*" };
  const [name = "", kind = name] = text.split("=", 2);
  if (isId(name) && isId(kind)) return { name, kind };
  throw new Failure("INVALID_REQUEST", `${echo(text)} is not the name of a provider`, {
    fix: "Write kv, or <name>=<kind> for one of another name, or * for any.",
  });
}

/** Throws INVALID_REQUEST for a topic that no application may have. */
export function assertTopic(topic: string): void {
  const problem = topicProblem(topic) ?? reservedTopic(topic);
  if (problem === undefined) return;
  throw new Failure("INVALID_REQUEST", `the topic ${echo(topic)} ${problem}`, {
    fix: "Write topics such as orders.> or sensors.*.temperature.",
  });
}

/**
 * What an identity may do on the lattice's own subjects: exactly what the table says. Answers go to the inboxes of those
 * roles alone that may ask it something; whose inbox it is stands in the subject, and the rest of it cannot be
 * guessed. `allow_responses` is not used: a caller could then have anything published by naming it as its reply subject.
 */
export function permissionsOf(identity: Identity): BusPermissions {
  const { id } = identity;
  const roles = rolesOf(identity);
  const rows = Object.entries(subjects) as [SubjectName, SubjectRow][];
  const speaks = rows.filter(([, row]) =>
    row.publishers.some((role) => roles.includes(role) && (role !== "provider" || isSpokenBy(identity, row))),
  );
  const hears = rows.filter(([, row]) => row.listeners.some((role) => roles.includes(role)));
  const askers = hears.filter(([, row]) => row.kind !== "broadcast").flatMap(([, row]) => row.publishers);
  const asks = speaks.some(([, row]) => row.kind !== "broadcast");
  return {
    publish: allowing([
      ...speaks.flatMap(([name, row]) => filtersFor(identity, name, row.speaker)),
      ...askers.flatMap(inboxesOf),
    ]),
    subscribe: allowing([
      ...hears.flatMap(([name, row]) => filtersFor(identity, name, row.listener)),
      ...(asks ? [`${inboxPrefixOf(identity.role, id)}.>`] : []),
    ]),
  };
}

/** Whether one of its providers is of a kind that speaks there. */
function isSpokenBy({ hosts = [] }: Identity, { notOf = [] }: SubjectRow): boolean {
  return hosts.length === 0
    ? notOf.length === 0
    : hosts.some((text) => !notOf.includes(hostingOf(text).kind));
}

/** A node that may run providers is one as well. */
function rolesOf({ role, hosts = [] }: Identity): readonly Role[] {
  return role === "node" && hosts.length > 0 ? ["node", "provider"] : [role];
}

/** Where whoever asks in that role hears the answer: a provider's question may be that of a node that hosts it. */
function inboxesOf(asker: Role): string[] {
  const roles: readonly Role[] = asker === "provider" ? ["provider", "node"] : [asker];
  return roles.map((role) => `_INBOX.${role}.>`);
}

function filtersFor(
  { id, lattice, hosts = [] }: Identity,
  name: SubjectName,
  own: string | undefined,
): string[] {
  const parameters: SubjectParameters = { lattice };
  if (own === undefined) return [filterFor(name, parameters)];
  if (own !== "provider") return [filterFor(name, { ...parameters, [own]: id })];
  return hosts
    .map((text) => hostingOf(text).name)
    .map((provider) => filterFor(name, provider === "*" ? parameters : { ...parameters, provider }));
}

/** Without those that another one covers. */
function allowing(filters: readonly string[]): SubjectFilters {
  const all = [...new Set(filters)].toSorted();
  const allow = all.filter((one) => !all.some((other) => other !== one && topicScope(other, one)));
  return { allow, deny: [] };
}

/** The parts of the JetStream API (nats-server, `server/jetstream_api.go`), and which kinds of providers need them. */
const jetStreamApi: readonly (readonly [string, readonly string[]])[] = [
  ["$JS.API.INFO", ["kv", "blobstore", "messaging"]],
  ["$JS.API.STREAM.INFO.*", ["kv", "blobstore", "messaging"]],
  ["$JS.API.STREAM.CREATE.*", ["kv", "blobstore"]],
  ["$JS.API.STREAM.UPDATE.*", []],
  ["$JS.API.STREAM.NAMES", ["blobstore", "messaging"]],
  ["$JS.API.STREAM.LIST", ["blobstore"]],
  ["$JS.API.STREAM.DELETE.*", ["blobstore"]],
  ["$JS.API.STREAM.PURGE.*", ["blobstore"]],
  ["$JS.API.STREAM.MSG.GET.*", ["kv", "blobstore"]],
  ["$JS.API.STREAM.MSG.DELETE.*", []],
  ["$JS.API.STREAM.SNAPSHOT.>", []],
  ["$JS.API.STREAM.RESTORE.>", []],
  ["$JS.API.STREAM.PEER.>", []],
  ["$JS.API.STREAM.LEADER.>", []],
  ["$JS.API.STREAM.TEMPLATE.>", []],
  ["$JS.API.DIRECT.GET.>", ["kv", "blobstore"]],
  ["$JS.API.CONSUMER.CREATE.>", ["kv", "blobstore", "messaging"]],
  ["$JS.API.CONSUMER.DURABLE.CREATE.>", ["messaging"]],
  ["$JS.API.CONSUMER.INFO.>", ["kv", "blobstore", "messaging"]],
  ["$JS.API.CONSUMER.MSG.NEXT.>", ["kv", "blobstore", "messaging"]],
  ["$JS.API.CONSUMER.DELETE.>", ["kv", "blobstore"]],
  ["$JS.API.CONSUMER.NAMES.>", []],
  ["$JS.API.CONSUMER.LIST.>", []],
  ["$JS.API.CONSUMER.PAUSE.>", []],
  ["$JS.API.CONSUMER.LEADER.>", []],
  ["$JS.API.META.>", []],
  ["$JS.API.SERVER.>", []],
  ["$JS.API.ACCOUNT.>", []],
  ["$JS.ACK.>", ["kv", "blobstore", "messaging"]],
  ["$KV.>", ["kv"]],
  ["$O.>", ["blobstore"]],
];

/** Where no application speaks or listens, whatever its topics are. */
const closedPlanes = ["wasmatrix.>", "$SYS.>", "$G.>", "_R_.>", "_GR_.>"];
const roleInboxes = (["operator", "control-plane", "node", "provider", "observer"] as const).map(
  (role) => `_INBOX.${role}.>`,
);

/**
 * What the second user of an identity may do, which its providers sign in as for JetStream and the topics of
 * applications; undefined where it hosts none that need it. Never anything of the lattice's own. `others`: all ids that
 * have such a user, whose inboxes are not its own.
 */
export function applicationPermissionsOf(
  { id, hosts = [], topics }: Identity,
  others: readonly string[],
): BusPermissions | undefined {
  const kinds = hosts.map((text) => hostingOf(text).kind);
  const has = (kind: string) => kinds.includes(kind) || kinds.includes("*");
  if (!["kv", "blobstore", "messaging"].some(has)) return undefined;
  const needed = jetStreamApi.filter(([, needs]) => needs.some(has)).map(([filter]) => filter);
  const inbox = `${inboxPrefixOf("application", id)}.>`;
  const answers = has("messaging") ? ["_INBOX.application.>"] : [];
  const isOpen = has("messaging") && topics === undefined;
  const own = has("messaging") ? (topics ?? []) : [];
  if (!isOpen) {
    return {
      publish: { allow: [...needed, ...own, ...answers].toSorted(), deny: [] },
      subscribe: { allow: [inbox, ...own].toSorted(), deny: [] },
    };
  }
  const refused = jetStreamApi.map(([filter]) => filter).filter((filter) => !needed.includes(filter));
  const foreign = others
    .filter((other) => other !== id)
    .map((other) => `${inboxPrefixOf("application", other)}.>`);
  return {
    publish: { allow: [">"], deny: [...closedPlanes, ...roleInboxes, ...refused].toSorted() },
    subscribe: {
      allow: [">"],
      deny: [...closedPlanes, ...roleInboxes, "$JS.>", "$KV.>", "$O.>", ...foreign].toSorted(),
    },
  };
}
