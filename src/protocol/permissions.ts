import { isId } from "./ids.ts";
import { domainProblem, domainScope, prefixScope, targetScope, topicProblem, topicScope } from "./scopes.ts";

/** A permission as it is written in an assignment: `kv:read`, `msg:publish:orders.>`. */
export type Permission = string;

/** How a permission may be narrowed: `kv:read:<prefix>`. */
export interface Scope {
  /** What stands in the angle brackets when it is described. */
  readonly placeholder: string;
  /** Whether the permission may be granted without one. */
  readonly isOptional: boolean;
  /** What is wrong with an argument, as the end of a sentence. */
  problem(argument: string): string | undefined;
  /** Whether a permission with that argument covers what an operation is about. */
  covers(argument: string, about: string): boolean;
}

/** What one operation needs. */
export interface Operation {
  readonly permission: Permission;
  /** A second one that it needs as well, which cannot be narrowed. */
  readonly also?: Permission;
  /** The field of its payload that a narrowed permission is about: a text, or a list of texts or of maps with a key. */
  readonly about?: string;
  /** Where what counts is a part of that text: the host of a URL. */
  readonly part?: (text: string) => string;
  /** Another field that the same permission must cover where it is there; its provider checks that. */
  readonly alsoAbout?: string;
}

/** A provider type that is part of the product. */
export interface ProviderType {
  readonly operations: ReadonlyMap<string, Operation>;
  readonly permissions: ReadonlyMap<Permission, Scope | undefined>;
}

const prefix: Scope = {
  placeholder: "prefix",
  isOptional: true,
  problem: (text) => (text === "" ? "must name a prefix" : undefined),
  covers: prefixScope,
};
const topic: Scope = { placeholder: "topic", isOptional: false, problem: topicProblem, covers: topicScope };
const domain: Scope = {
  placeholder: "domain",
  isOptional: false,
  problem: domainProblem,
  covers: domainScope,
};

const all = (permission: Permission, about: string | undefined, ...names: string[]) =>
  names.map((name): [string, Operation] => [
    name,
    about === undefined ? { permission } : { permission, about },
  ]);

/**
 * Which permission each operation of each provider type needs, and how permissions may be narrowed. Read by the cell
 * before a call leaves, and by the provider before it acts. A type that is not in here is one of somebody's own: each
 * of its operations needs `<type>:<operation>`, and `<type>:*` covers them all.
 */
const builtIn: ReadonlyMap<string, ProviderType> = new Map([
  [
    "kv",
    {
      operations: new Map([
        ...all("kv:read", "key", "get", "get-revision", "exists"),
        ...all("kv:read", "keys", "get-many"),
        ...all("kv:read", "prefix", "list"),
        ...all("kv:write", "key", "set", "swap", "increment"),
        ...all("kv:write", "entries", "set-many"),
        ...all("kv:delete", "key", "delete"),
        ...all("kv:delete", "keys", "delete-many"),
      ]),
      permissions: new Map([
        ["kv:read", prefix],
        ["kv:write", prefix],
        ["kv:delete", prefix],
      ]),
    },
  ],
  [
    "http",
    {
      operations: new Map([["request", { permission: "http:request", about: "url", part: hostOf }]]),
      permissions: new Map<Permission, Scope | undefined>([
        ["http:request", undefined],
        ["http:domain", domain],
        ["http:private", undefined],
      ]),
    },
  ],
  [
    "messaging",
    {
      operations: new Map([
        ["publish", { permission: "msg:publish", about: "topic", alsoAbout: "replyTo" }],
        ...all("msg:publish", "topic", "request"),
        ...all("msg:subscribe", "topic", "subscribe", "unsubscribe"),
      ]),
      permissions: new Map([
        ["msg:publish", topic],
        ["msg:subscribe", topic],
      ]),
    },
  ],
  [
    "blobstore",
    {
      operations: new Map([
        ...all("blob:read", undefined, "container-exists", "container-info", "list-objects"),
        ...all("blob:read", undefined, "object-exists", "object-info", "get-object"),
        ...all("blob:write", undefined, "create-container", "put-object", "copy-object"),
        ...all("blob:delete", undefined, "delete-container", "delete-objects", "clear-container"),
        ["move-object", { permission: "blob:delete", also: "blob:write" }],
      ]),
      permissions: new Map([
        ["blob:read", undefined],
        ["blob:write", undefined],
        ["blob:delete", undefined],
      ]),
    },
  ],
  ["http-server", { operations: new Map(), permissions: new Map([["http-server:serve", undefined]]) }],
  [
    "call",
    {
      operations: new Map(),
      permissions: new Map([
        ["call", { placeholder: "name", isOptional: false, problem: targetProblem, covers: targetScope }],
      ]),
    },
  ],
]);

/** Types whose permissions begin with another word than the type's name. */
const typeByWord = new Map([
  ["msg", "messaging"],
  ["blob", "blobstore"],
]);

/** The provider type that a permission belongs to, by its first word. */
export function providerTypeOf(permission: Permission): string {
  const word = permission.split(":", 1)[0] ?? "";
  return typeByWord.get(word) ?? word;
}

/** The table of a provider type that is part of the product; undefined for one of somebody's own. */
export function builtInType(providerType: string): ProviderType | undefined {
  return builtIn.get(providerType);
}

/** The provider types that are part of the product. */
export function providerTypes(): string[] {
  return [...builtIn.keys()];
}

/** Whether a type is part of the product, with its own table of operations. */
export function isBuiltIn(providerType: string): boolean {
  return builtIn.has(providerType);
}

/** How the permissions of a provider type are written: `kv:read`, `kv:read:<prefix>`. */
export function permissionsOf(providerType: string): Permission[] {
  const type = builtIn.get(providerType);
  if (type === undefined) return [`${providerType}:<operation>`, `${providerType}:*`];
  return [...type.permissions].flatMap(([permission, scope]) => {
    if (scope === undefined) return [permission];
    const narrowed = `${permission}:<${scope.placeholder}>`;
    return scope.isOptional ? [permission, narrowed] : [narrowed];
  });
}

/** What is wrong with granting `permission` on a provider of that type, or undefined. */
export function permissionProblem(providerType: string, permission: Permission): string | undefined {
  const known = `there are: ${permissionsOf(providerType).join(", ")}`;
  const type = builtIn.get(providerType);
  if (type === undefined) {
    const operation = permission.startsWith(`${providerType}:`)
      ? permission.slice(providerType.length + 1)
      : "";
    return operation === "*" || isId(operation)
      ? undefined
      : `unknown permission for ${providerType}; ${known}`;
  }
  const [name, argument] = split(type, permission);
  if (name === undefined) return `unknown permission for ${providerType}; ${known}`;
  const scope = type.permissions.get(name);
  if (argument === undefined) return scope?.isOptional === false ? `incomplete; ${known}` : undefined;
  if (scope === undefined) return `${name} takes no argument; ${known}`;
  const problem = scope.problem(argument);
  return problem === undefined ? undefined : `the ${scope.placeholder} ${problem}`;
}

/** The operations that a provider type has; undefined for one of somebody's own, which may have any. */
export function operationsOf(providerType: string): string[] | undefined {
  const type = builtIn.get(providerType);
  return type === undefined ? undefined : [...type.operations.keys()];
}

/** The permission that an operation needs, without a scope; undefined where the type has no such operation. */
export function permissionFor(providerType: string, operation: string): Permission | undefined {
  const type = builtIn.get(providerType);
  if (type !== undefined) return type.operations.get(operation)?.permission;
  return isId(operation) ? `${providerType}:${operation}` : undefined;
}

/** What the permissions of one assignment cover. */
export interface PermissionSet {
  /**
   * The permission that is missing for an operation, written so that it can be granted; undefined where none is.
   * `payload` is asked for the decoded payload only where a narrowed permission has to look at it.
   */
  missing(operation: string, payload: () => unknown): Permission | undefined;
}

/** Reads the permissions of an assignment once, so that each check is a look into a map. */
export function permissionSet(providerType: string, permissions: readonly Permission[]): PermissionSet {
  const type = builtIn.get(providerType);
  if (type === undefined) return ownTypeSet(providerType, permissions);
  const whole = new Set<Permission>();
  const narrowed = new Map<Permission, string[]>();
  for (const permission of permissions) {
    const [name, argument] = split(type, permission);
    if (name === undefined) continue;
    if (argument === undefined) whole.add(name);
    else narrowed.set(name, [...(narrowed.get(name) ?? []), argument]);
  }
  if (providerType === "http") return httpSet(type, whole, narrowed.get("http:domain"));
  return {
    missing(operation, payload) {
      const needed = type.operations.get(operation);
      if (needed === undefined) return `${providerType}:${operation}`;
      const { permission, also } = needed;
      if (also !== undefined && !whole.has(also)) return also;
      if (whole.has(permission)) return undefined;
      const scope = type.permissions.get(permission);
      const granted = narrowed.get(permission) ?? [];
      if (scope === undefined || (granted.length === 0 && scope.isOptional)) return permission;
      const handles = providerType === "messaging" && narrowed.has("msg:subscribe");
      const outside = about(needed, payload()).find(
        (one) => !granted.some((arg) => scope.covers(arg, one)) && !(handles && isInbox(one)),
      );
      return outside === undefined ? undefined : `${permission}:${outside}`;
    },
  };
}

/** `http:request` alone is any public host; with domains it is those, and domains alone are enough. */
function httpSet(
  type: ProviderType,
  whole: ReadonlySet<Permission>,
  domains?: readonly string[],
): PermissionSet {
  return {
    missing(operation, payload) {
      const needed = type.operations.get(operation);
      if (needed === undefined) return `http:${operation}`;
      if (domains === undefined) return whole.has(needed.permission) ? undefined : needed.permission;
      const [host = ""] = about(needed, payload());
      return domains.some((one) => domainScope(one, host)) ? undefined : `http:domain:${host}`;
    },
  };
}

function ownTypeSet(providerType: string, permissions: readonly Permission[]): PermissionSet {
  const granted = new Set(permissions);
  return {
    missing(operation) {
      const permission = `${providerType}:${operation}`;
      return granted.has(`${providerType}:*`) || granted.has(permission) ? undefined : permission;
    },
  };
}

/** Whether the `call` permissions of an assignment cover an operation of a guest. */
export function permitsCall(permissions: readonly Permission[], target: string, operation: string): boolean {
  return permissions.some(
    (one) => one.startsWith("call:") && targetScope(one.slice(5), `${target}:${operation}`),
  );
}

/** The permission of a type that a written one is, and what it is narrowed to. */
export function split(
  type: ProviderType,
  permission: Permission,
): [Permission | undefined, string | undefined] {
  if (type.permissions.has(permission)) return [permission, undefined];
  for (const name of type.permissions.keys()) {
    if (permission.startsWith(`${name}:`)) return [name, permission.slice(name.length + 1)];
  }
  return [undefined, undefined];
}

/** What a payload is about, in the words that scopes compare. */
export function about({ about: field, part = (text) => text }: Operation, payload: unknown): string[] {
  if (field === undefined) return [];
  const value = (payload as Record<string, unknown> | undefined)?.[field];
  const list: unknown[] = Array.isArray(value) ? value : [value];
  return list.map((one) => {
    const text = typeof one === "object" && one !== null ? (one as { key?: unknown }).key : one;
    // What is not a text is covered by nothing but an empty scope, which cannot be granted.
    return typeof text === "string" ? part(text) : "";
  });
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname : "";
}

/**
 * Where the answer to a message goes. Nobody can be granted an inbox; the provider lets a guest that handles messages
 * publish to that of the message it is handling, and to no other.
 */
export function isInbox(topic: string): boolean {
  return topic.startsWith("_INBOX.");
}

function targetProblem(text: string): string | undefined {
  const [name, operation, ...rest] = text.split(":");
  const isWhole = isId(name) && (operation === undefined || isId(operation)) && rest.length === 0;
  return isWhole ? undefined : "must be the name of a guest, or <name>:<operation>";
}
