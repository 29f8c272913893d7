import { Failure } from "../../../protocol/errors.ts";
import type { WitFunction, WitType } from "../wit-type.ts";
import { bytesIn, flagIn, integerIn, mapsIn, textIn } from "./ask-provider.ts";
import type { ComponentHost } from "./component-host.ts";
import type { FunctionTypes } from "./guest-calls.ts";
import { expectedFailure } from "./io-error.ts";
import { ask, Bucket, type KeyvalueLife, type StoreError, storeError } from "./keyvalue-store.ts";

/** `wasi:keyvalue/atomics` cas-error; `cas-failed` has the handle alone or, in later drafts, the value with it. */
export type CasError =
  | { readonly tag: "store-error"; readonly val: StoreError }
  | { readonly tag: "cas-failed"; readonly val: Cas | readonly [Cas, Uint8Array | undefined] };

// Not members of the class: a guest could import them under any name that they have.
let partsOf: (cas: Cas) => {
  readonly bucket: Bucket;
  readonly key: string;
  readonly revision: string | null;
};

/** `wasi:keyvalue/atomics` cas: a key at one of its revisions. */
export class Cas {
  readonly #bucket: Bucket;
  readonly #key: string;
  readonly #revision: string | null;
  readonly #release: () => void;

  static {
    partsOf = (cas) => ({ bucket: cas.#bucket, key: cas.#key, revision: cas.#revision });
  }

  constructor(host: ComponentHost, bucket: Bucket, key: string, revision: string | null) {
    this.#bucket = bucket;
    this.#key = key;
    this.#revision = revision;
    this.#release = host.hold(() => {});
  }

  /**
   * The value as it is now. Where it has changed since the handle was made, the swap will fail, as it must; to keep
   * the old one would be to keep half a megabyte for each handle.
   */
  async current(): Promise<Uint8Array | undefined> {
    return this.#bucket.get(this.#key);
  }

  [Symbol.dispose](): void {
    this.#release();
  }
}

/**
 * `wasi:keyvalue` 0.2.0-draft and draft2 on grants of type `kv`. The drafts differ in the types of single functions
 * while their names are the same, and both were published under the same version for a time: `imports` tells how this
 * guest has them.
 */
export function keyvalueInterfaces(host: ComponentHost, imports: FunctionTypes) {
  const typeOf = (from: string, name: string) => imports.get(`wasi:keyvalue/${from}`)?.get(name);
  const life: KeyvalueLife = {
    host,
    hasTextCursors: cursorType(typeOf("store", "[method]bucket.list-keys"))?.kind === "string",
    places: new Map(),
  };
  const manyArePairs = itemType(typeOf("batch", "get-many"))?.kind === "tuple";
  const conflictHasValue = conflictType(typeOf("atomics", "swap"))?.kind === "tuple";

  const casAt = async (bucket: Bucket, key: string): Promise<{ cas: Cas; value: Uint8Array | undefined }> => {
    const answer = await ask(bucket, "get-revision", { key });
    const revision = answer["revision"] === null ? null : textIn(answer, "revision");
    return { cas: new GuestCas(host, bucket, key, revision), value: bytesIn(answer, "value") };
  };
  class GuestCas extends Cas {
    static async new(bucket: Bucket, key: string): Promise<Cas> {
      return (await inStoreWords(casAt(bucket, key))).cas;
    }
    static async newWithRead(bucket: Bucket, key: string): Promise<[Cas, Uint8Array | undefined]> {
      const { cas, value } = await inStoreWords(casAt(bucket, key));
      return [cas, value];
    }
  }

  return {
    "wasi:keyvalue/store": {
      Bucket,
      /** The grant of that name or, where there is only one, that one: a guest need not know what it is called. */
      open: (identifier: string): Bucket => {
        try {
          return new Bucket(life, host.capabilityFor("kv", identifier));
        } catch (thrown) {
          const failure = expectedFailure(thrown);
          throw failure.code === "INVALID_REQUEST"
            ? ({ tag: "no-such-store" } satisfies StoreError)
            : storeError(failure);
        }
      },
    },
    "wasi:keyvalue/atomics": {
      Cas: GuestCas,
      increment: (bucket: Bucket, key: string, delta: bigint): Promise<bigint> =>
        inStoreWords(increment(bucket, key, delta)),
      swap: async (cas: Cas, value: Uint8Array): Promise<void> => {
        const { bucket, key, revision } = partsOf(cas);
        cas[Symbol.dispose]();
        try {
          const answer = await ask(bucket, "swap", { key, value, revision });
          if (flagIn(answer, "swapped")) return;
          const present = answer["revision"] === null ? null : textIn(answer, "revision");
          const anew = new GuestCas(host, bucket, key, present);
          const val = conflictHasValue ? ([anew, bytesIn(answer, "value")] as const) : anew;
          throw { tag: "cas-failed", val } satisfies CasError;
        } catch (thrown) {
          if (isCasError(thrown)) throw thrown;
          throw { tag: "store-error", val: storeError(thrown) } satisfies CasError;
        }
      },
    },
    "wasi:keyvalue/batch": {
      /** In the order of the keys; where there is no value, nothing, or the key without one. */
      getMany: (bucket: Bucket, keys: readonly string[]) =>
        inStoreWords(
          ask(bucket, "get-many", { keys }).then((answer) =>
            mapsIn(answer, "values").map((entry) => {
              const value = bytesIn(entry, "value");
              return value === undefined && !manyArePairs ? undefined : [textIn(entry, "key"), value];
            }),
          ),
        ),
      setMany: async (bucket: Bucket, entries: readonly (readonly [string, Uint8Array])[]): Promise<void> => {
        const list = entries.map(([key, value]) => ({ key, value }));
        await inStoreWords(ask(bucket, "set-many", { entries: list }));
      },
      deleteMany: async (bucket: Bucket, keys: readonly string[]): Promise<void> => {
        await inStoreWords(ask(bucket, "delete-many", { keys }));
      },
    },
  };
}

async function increment(bucket: Bucket, key: string, delta: bigint): Promise<bigint> {
  const by = Number(delta);
  if (!Number.isSafeInteger(by)) {
    throw new Failure("INVALID_REQUEST", `kv increment: ${delta} is beyond ±9007199254740991`, {
      fix: "Increment by less, in several steps if need be.",
    });
  }
  return integerIn(await ask(bucket, "increment", { key, by }), "value");
}

async function inStoreWords<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (thrown) {
    throw storeError(thrown);
  }
}

function isCasError(thrown: unknown): thrown is CasError {
  return typeof thrown === "object" && thrown !== null && "tag" in thrown && thrown.tag === "cas-failed";
}

function cursorType(type: WitFunction | undefined): WitType | undefined {
  const cursor = type?.parameters.at(-1)?.type;
  return cursor?.kind === "option" ? cursor.of : undefined;
}

function itemType(type: WitFunction | undefined): WitType | undefined {
  const result = type?.result?.kind === "result" ? type.result.ok : undefined;
  return result?.kind === "list" ? result.of : undefined;
}

function conflictType(type: WitFunction | undefined): WitType | undefined {
  const error = type?.result?.kind === "result" ? type.result.err : undefined;
  if (error?.kind !== "variant") return undefined;
  return error.cases.find(({ name }) => name === "cas-failed")?.type;
}
