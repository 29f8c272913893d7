import { auditLimits } from "../limits.ts";
import {
  about,
  builtInType,
  isInbox,
  type Operation,
  type Permission,
  permissionProblem,
  type ProviderType,
  type Scope,
  split,
} from "./permissions.ts";

/** A granted permission that a call rests on. */
export interface PermissionUse {
  /** As it was granted. */
  readonly permission: Permission;
  /** The narrowest one that would have been enough, where that is another and can be written. */
  readonly exactly?: Permission;
}

/**
 * The granted permissions that a call rests on, as far as it is permitted, of several that cover the same the narrowest. Together
 * those permissions permit the call, and without one of them nothing else that it names does. `payload` is asked for
 * only where permissions are about it.
 */
export function usesOf(
  providerType: string,
  granted: readonly Permission[],
  operation: string,
  payload: () => unknown,
): PermissionUse[] {
  const type = builtInType(providerType);
  if (type === undefined) return ownTypeUses(providerType, granted, operation);
  const needed = type.operations.get(operation);
  if (needed === undefined) return [];
  const { permission, also } = needed;
  const uses: PermissionUse[] = also !== undefined && granted.includes(also) ? [{ permission: also }] : [];
  if (providerType === "http") return [...uses, ...httpUses(type, granted, needed, payload)];
  if (granted.includes(permission)) return [...uses, { permission }];
  const scope = type.permissions.get(permission);
  if (scope === undefined) return uses;
  const candidates = argumentsOf(type, granted, permission);
  for (const text of textsOf(needed, payload)) {
    const argument = narrowest(scope, candidates, text);
    if (argument === undefined) continue;
    const used = `${permission}:${argument}`;
    // Keys are too many to be granted one by one; a topic is what it is called.
    uses.push(
      providerType === "messaging"
        ? narrowed(providerType, used, `${permission}:${text}`)
        : { permission: used },
    );
  }
  return uses;
}

/** The same for a call of another guest. */
export function callUse(
  granted: readonly Permission[],
  target: string,
  operation: string,
): PermissionUse | undefined {
  const type = builtInType("call");
  const scope = type?.permissions.get("call");
  if (type === undefined || scope === undefined) return undefined;
  const argument = narrowest(scope, argumentsOf(type, granted, "call"), `${target}:${operation}`);
  return argument === undefined
    ? undefined
    : narrowed("call", `call:${argument}`, `call:${target}:${operation}`);
}

/**
 * Everything that is missing for an operation, where a refusal names the first alone, and as narrow as a call can tell:
 * what to grant to whoever was audited. Empty where nothing is missing, or nothing that a grant could allow.
 */
export function allMissing(
  providerType: string,
  granted: readonly Permission[],
  operation: string,
  payload: () => unknown,
): Permission[] {
  const type = builtInType(providerType);
  const needed = type?.operations.get(operation);
  if (type === undefined) {
    const wanted = `${providerType}:${operation}`;
    return coverOf(providerType, granted, wanted) === undefined ? [wanted] : [];
  }
  if (needed === undefined) return [];
  const { permission, also } = needed;
  const missing = also === undefined || granted.includes(also) ? [] : [also];
  const name = providerType === "http" ? "http:domain" : permission;
  const scope = type.permissions.get(name);
  const candidates = argumentsOf(type, granted, name);
  if (granted.includes(permission) && (name === permission || candidates.length === 0)) return missing;
  if (scope === undefined || (scope.isOptional && candidates.length === 0)) return [...missing, permission];
  const outside = textsOf(needed, payload).filter((text) => narrowest(scope, candidates, text) === undefined);
  return [...missing, ...new Set(outside.map((text) => `${name}:${text}`))];
}

/**
 * The granted permission, undefined without one, that covers another one: `http:domain:*.b.c` covers
 * `http:domain:a.b.c`, and so does `http:request` where no domain is granted.
 */
export function coverOf(
  providerType: string,
  granted: readonly Permission[],
  wanted: Permission,
): Permission | undefined {
  if (granted.includes(wanted)) return wanted;
  const type = builtInType(providerType);
  const any = `${providerType}:*`;
  if (type === undefined)
    return granted.includes(any) && wanted.startsWith(`${providerType}:`) ? any : undefined;
  const [name, argument] = split(type, wanted);
  if (name === undefined || argument === undefined) return undefined;
  const scope = type.permissions.get(name);
  const found = scope && narrowest(scope, argumentsOf(type, granted, name), argument);
  if (found !== undefined) return `${name}:${found}`;
  if (name === "http:domain")
    return granted.includes("http:request") && argumentsOf(type, granted, name).length === 0
      ? "http:request"
      : undefined;
  return granted.includes(name) ? name : undefined;
}

/**
 * The fewest of these permissions that permit what all of them do: those that another one covers are left out.
 * `http:request` counts for more than domains here, unlike in a grant, where domains beside it narrow it.
 */
export function withoutCovered(providerType: string, permissions: readonly Permission[]): Permission[] {
  const distinct = [...new Set(permissions)];
  const isAnyHost = distinct.includes("http:request");
  return distinct
    .filter((one) => {
      if (isAnyHost && one.startsWith("http:domain:")) return false;
      const others = distinct.filter((other) => other !== one);
      return coverOf(providerType, others, one) === undefined;
    })
    .toSorted();
}

/** Whether a grant that has these permissions could use that one in ways that are told apart: its hosts, its topics. */
export function canBeNarrowed(providerType: string, permission: Permission): boolean {
  switch (providerType) {
    case "http":
      return permission === "http:request" || permission.startsWith("http:domain:*.");
    case "messaging":
      return /(?:^|[:.])[*>](?:\.|$)/.test(permission);
    case "call":
      return permission.split(":").length === 2;
    default:
      return builtInType(providerType) === undefined && permission === `${providerType}:*`;
  }
}

/**
 * Whether a call shows that it rests on the permission. Where a host leads, whoever connects to it knows, and kept
 * connections do not tell again.
 */
export function isUseSeen(permission: Permission): boolean {
  return permission !== "http:private";
}

function httpUses(
  type: ProviderType,
  granted: readonly Permission[],
  needed: Operation,
  payload: () => unknown,
): PermissionUse[] {
  const domains = argumentsOf(type, granted, "http:domain");
  const scope = type.permissions.get("http:domain");
  const [host = ""] = textsOf(needed, payload);
  const exactly = `http:domain:${host}`;
  if (domains.length === 0)
    return granted.includes(needed.permission) ? [narrowed("http", needed.permission, exactly)] : [];
  const argument = scope && narrowest(scope, domains, host);
  return argument === undefined ? [] : [narrowed("http", `http:domain:${argument}`, exactly)];
}

function ownTypeUses(
  providerType: string,
  granted: readonly Permission[],
  operation: string,
): PermissionUse[] {
  const exactly = `${providerType}:${operation}`;
  if (granted.includes(exactly)) return [{ permission: exactly }];
  const any = `${providerType}:*`;
  return granted.includes(any) ? [narrowed(providerType, any, exactly)] : [];
}

function narrowed(providerType: string, permission: Permission, exactly: Permission): PermissionUse {
  if (permission === exactly || !canBeNarrowed(providerType, permission)) return { permission };
  const isWritable =
    exactly.length <= auditLimits.permissionCharactersMax &&
    permissionProblem(providerType, exactly) === undefined;
  return isWritable ? { permission, exactly } : { permission };
}

const read = new WeakMap<readonly Permission[], Map<Permission, readonly string[]>>();

/** What the granted permissions of that name are narrowed to; read once, for a grant's list is one for all its calls. */
function argumentsOf(
  type: ProviderType,
  granted: readonly Permission[],
  name: Permission,
): readonly string[] {
  const known = read.get(granted) ?? new Map<Permission, readonly string[]>();
  read.set(granted, known);
  const found =
    known.get(name) ??
    granted.flatMap((one) => {
      const [word, argument] = split(type, one);
      return word === name && argument !== undefined ? [argument] : [];
    });
  known.set(name, found);
  return found;
}

/** Of those that cover a text, one that covers none of the others. */
function narrowest(scope: Scope, candidates: readonly string[], text: string): string | undefined {
  let best: string | undefined;
  for (const one of candidates) {
    if (!scope.covers(one, text)) continue;
    if (best === undefined || (one !== best && scope.covers(best, one))) best = one;
  }
  return best;
}

/** Where an answer goes that is an inbox, the right to it comes with the message that it answers. */
function textsOf(needed: Operation, payload: () => unknown): string[] {
  const value = payload();
  const texts = about(needed, value);
  if (needed.alsoAbout === undefined) return texts;
  const second = (value as Record<string, unknown> | undefined)?.[needed.alsoAbout];
  return [...texts, ...(typeof second === "string" ? [second] : [])].filter((one) => !isInbox(one));
}
