import fc from "fast-check";

/** One operation as the example `sdk-check` takes it: text in, text out. */
export interface KvStep {
  readonly operation: "get" | "set" | "delete" | "exists" | "increment" | "list";
  readonly key: string;
  /** What is stored, or by how much is counted. */
  readonly value: string;
}

// Few keys, so that operations meet; some that JavaScript's own order would misplace, and one that is refused.
const key = fc.constantFrom("a", "a/1", "a/2", "ab", "b", "\u{1f600}", "\ufb00", "é", "");

/** Any operation; some of them are refused by the provider. */
export const anyKvStep: fc.Arbitrary<KvStep> = fc.oneof(
  fc.record({
    operation: fc.constantFrom("get", "delete", "exists", "list"),
    key,
    value: fc.constant(""),
  }),
  fc.record({
    operation: fc.constant("set" as const),
    key,
    value: fc.constantFrom("0", "41", "-7", "text", "ü"),
  }),
  fc.record({
    operation: fc.constant("increment" as const),
    key,
    value: fc.integer({ min: -50, max: 50 }).map(String),
  }),
);

const permissions = {
  get: "kv:read",
  list: "kv:read",
  exists: "kv:read",
  set: "kv:write",
  increment: "kv:write",
  delete: "kv:delete",
} as const;

/** The permission that a step needs, told by hand. */
export function neededFor({ operation }: KvStep): string {
  return permissions[operation];
}

/** The payload of a step. */
export function payloadOf({ operation, key: name, value }: KvStep): string {
  return operation === "set" || operation === "increment" ? `${name}=${value}` : name;
}

/** What `sdk-check` answers when the store is that map, or what its error begins with; changes the map alike. */
export function perform(store: Map<string, string>, step: KvStep): { answer: string } | { error: string } {
  const { operation, key: name, value } = step;
  if (operation === "list") return { answer: listed(store, name) };
  if (name === "") return { error: "INVALID_REQUEST" };
  const held = store.get(name);
  switch (operation) {
    case "get":
      return { answer: held ?? "(none)" };
    case "exists":
      return { answer: String(held !== undefined) };
    case "delete":
      return { answer: String(store.delete(name)) };
    case "set":
      store.set(name, value);
      return { answer: payloadOf(step) };
    case "increment": {
      if (held !== undefined && !/^-?[0-9]+$/.test(held)) return { error: "INVALID_REQUEST" };
      store.set(name, String(Number(held ?? "0") + Number(value)));
      return { answer: store.get(name)! };
    }
  }
}

/** Two keys a page, as the guest asks for them. */
function listed(store: ReadonlyMap<string, string>, prefix: string): string {
  const keys = [...store.keys()]
    .filter((name) => name.startsWith(prefix))
    .toSorted((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
  return Array.from({ length: Math.ceil(keys.length / 2) }, (_, page) =>
    keys.slice(page * 2, page * 2 + 2).join(" "),
  ).join("|");
}
