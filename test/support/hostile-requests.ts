import fc from "fast-check";
import { Packr } from "msgpackr";

const packr = new Packr({ useRecords: false });
const words = fc.constantFrom(
  "",
  "*",
  ">",
  "a.b",
  "__proto__",
  "victim",
  "-",
  "a".repeat(65),
  "\0",
  "sha256:",
  "\u{1f600}",
);
const anyValue = fc.oneof(
  { withCrossShrink: true },
  fc.jsonValue({ maxDepth: 3 }),
  words,
  fc.maxSafeInteger(),
  fc.constantFrom(-1, 0, 0.5, 2 ** 53, 1e300, -0),
);

/** One wrong edit of a command that was right. */
type Mutation =
  | { kind: "replace" | "add"; at: number; value: unknown; name: string }
  | { kind: "remove"; at: number; name: string };

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("replace", "add"),
    at: fc.nat(),
    value: anyValue,
    name: fc.oneof(words, fc.string()),
  }),
  fc.record({ kind: fc.constant("remove" as const), at: fc.nat(), name: fc.constant("") }),
);

/** Bytes that somebody might send as this command: other JSON, the command with mistakes in it, noise. */
export function anyRequest(valid: readonly object[]): fc.Arbitrary<Uint8Array> {
  const mutated = fc
    .tuple(fc.constantFrom(...valid), fc.array(mutation, { maxLength: 3 }))
    .map(([command, mutations]) => mutations.reduce(mutate, structuredClone(command) as unknown));
  const value = fc.oneof({ weight: 4, arbitrary: mutated }, { weight: 1, arbitrary: anyValue });
  const json = value.map((one) => Buffer.from(JSON.stringify(one) ?? ""));
  return fc.oneof(
    { weight: 5, arbitrary: json },
    { weight: 2, arbitrary: value.map((one) => packr.pack(one)) },
    // A command that is cut off, or has one byte flipped.
    {
      weight: 2,
      arbitrary: fc.tuple(json, fc.nat()).map(([bytes, at]) => bytes.subarray(0, at % (bytes.length + 1))),
    },
    { weight: 2, arbitrary: fc.tuple(json, fc.nat(), fc.nat({ max: 255 })).map(flipped) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }) },
  );
}

function flipped([bytes, at, byte]: [Buffer, number, number]): Uint8Array {
  const copy = Uint8Array.from(bytes);
  if (copy.length > 0) copy[at % copy.length] = byte;
  return copy;
}

function mutate(root: unknown, one: Mutation): unknown {
  const places = holdersIn(root);
  const place = places[one.at % Math.max(1, places.length)];
  if (place === undefined) return one.kind === "remove" ? root : one.value;
  const [holder, key] = place;
  if (one.kind === "remove") Reflect.deleteProperty(holder, key);
  // What is no index of a list does not travel, and its `length` takes numbers alone.
  else Object.defineProperty(holder, isAdded(one, holder) ? one.name : key, plain(one.value));
  return root;
}

function isAdded({ kind }: Mutation, holder: object): boolean {
  return kind === "add" && !Array.isArray(holder);
}

function plain(value: unknown): PropertyDescriptor {
  return { value, enumerable: true, configurable: true, writable: true };
}

/** Every field within a value, with the object that holds it. */
function holdersIn(value: unknown): [object, string][] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [
    [value, key] as [object, string],
    ...holdersIn(inner),
  ]);
}
