import { componentLimits, kvLimits } from "../../../limits.ts";
import { Failure } from "../../../protocol/errors.ts";
import { echo } from "../../../protocol/ids.ts";
import { type Answer, askProvider, bytesIn, flagIn, textIn, textsIn } from "./ask-provider.ts";
import type { ComponentHost } from "./component-host.ts";
import { expectedFailure, failureText } from "./io-error.ts";

/** `wasi:keyvalue/store` error. */
export type StoreError =
  | { readonly tag: "no-such-store" }
  | { readonly tag: "access-denied" }
  | { readonly tag: "other"; readonly val: string };

/** `wasi:keyvalue/store` key-response. */
export interface KeyResponse {
  readonly keys: readonly string[];
  /** A number in decimal where the guest's draft says u64: generated code takes it for one. */
  readonly cursor: string | undefined;
}

/** What all buckets of one life share. */
export interface KeyvalueLife {
  readonly host: ComponentHost;
  /** Whether a cursor is a text; a number in the first draft. */
  readonly hasTextCursors: boolean;
  /** The key behind which a page begins, by capability and number of keys before it. */
  readonly places: Map<string, string>;
}

// Not a member of the class: a guest could import it under any name that it has.
let askBucket: (
  bucket: Bucket,
  operation: string,
  request: Readonly<Record<string, unknown>>,
) => Promise<Answer>;

/** `wasi:keyvalue/store` bucket: what one grant of type `kv` reaches. All its functions throw a {@link StoreError}. */
export class Bucket {
  readonly #life: KeyvalueLife;
  readonly #capabilityId: string;
  readonly #release: () => void;

  static {
    askBucket = (bucket, operation, request) => bucket.#ask(operation, request);
  }

  constructor(life: KeyvalueLife, capabilityId: string) {
    this.#life = life;
    this.#capabilityId = capabilityId;
    this.#release = life.host.hold(() => {});
  }

  /** The value, undefined where there is none. */
  async get(key: string): Promise<Uint8Array | undefined> {
    return this.#answered("get", { key }, (answer) => bytesIn(answer, "value"));
  }

  async set(key: string, value: Uint8Array): Promise<void> {
    await this.#answered("set", { key, value }, () => {});
  }

  async delete(key: string): Promise<void> {
    await this.#answered("delete", { key }, () => {});
  }

  async exists(key: string): Promise<boolean> {
    return this.#answered("exists", { key }, (answer) => flagIn(answer, "exists"));
  }

  /** A page of keys in the order of their bytes. */
  async listKeys(cursor: string | bigint | undefined): Promise<KeyResponse> {
    try {
      return await (this.#life.hasTextCursors
        ? this.#pageBehind(cursor === undefined ? undefined : String(cursor))
        : this.#pageFrom(countOf(cursor)));
    } catch (error) {
      throw storeError(error);
    }
  }

  [Symbol.dispose](): void {
    this.#release();
  }

  /** A text cursor is the last key of its page, so that it outlives the guest. */
  async #pageBehind(after: string | undefined): Promise<KeyResponse> {
    const answer = await this.#ask("list", { limit: kvLimits.listKeysMax, after });
    return {
      keys: textsIn(answer, "keys"),
      cursor: answer["next"] === undefined ? undefined : textIn(answer, "next"),
    };
  }

  /**
   * A cursor that is a number is how many keys came before. The key that stands there is remembered for a while; a
   * guest that was restarted meanwhile has its keys counted again.
   */
  async #pageFrom(start: number): Promise<KeyResponse> {
    let count = start;
    let after = this.#life.places.get(this.#place(start));
    if (after === undefined) {
      for (count = 0; count < start;) {
        const page = await this.#ask("list", { limit: Math.min(kvLimits.listKeysMax, start - count), after });
        count += textsIn(page, "keys").length;
        if (page["next"] === undefined) return { keys: [], cursor: undefined };
        after = textIn(page, "next");
      }
    }
    const { keys, cursor: next } = await this.#pageBehind(after);
    if (next === undefined) return { keys, cursor: undefined };
    this.#remember(count + keys.length, next);
    return { keys, cursor: String(count + keys.length) };
  }

  #remember(count: number, after: string): void {
    const { places } = this.#life;
    places.set(this.#place(count), after);
    for (const oldest of places.keys()) {
      if (places.size <= componentLimits.listPlacesMax) break;
      places.delete(oldest);
    }
  }

  #place(count: number): string {
    return `${this.#capabilityId} ${count}`;
  }

  async #answered<Result>(
    operation: string,
    request: Readonly<Record<string, unknown>>,
    read: (answer: Answer) => Result,
  ): Promise<Result> {
    try {
      return read(await this.#ask(operation, request));
    } catch (error) {
      throw storeError(error);
    }
  }

  #ask(operation: string, request: Readonly<Record<string, unknown>>): Promise<Answer> {
    const grant = { capabilityId: this.#capabilityId, providerType: "kv" };
    return askProvider(this.#life.host, grant, operation, request);
  }
}

/** One operation on what a bucket reaches; rejects with a `Failure`. */
export function ask(
  bucket: Bucket,
  operation: string,
  request: Readonly<Record<string, unknown>>,
): Promise<Answer> {
  return askBucket(bucket, operation, request);
}

/** A failure in the words of the interface; anything else is thrown on and ends the guest. */
export function storeError(thrown: unknown): StoreError {
  const failure = expectedFailure(thrown);
  return failure.code === "PERMISSION_DENIED"
    ? { tag: "access-denied" }
    : { tag: "other", val: failureText(failure) };
}

function countOf(cursor: string | bigint | undefined): number {
  const count = Number(cursor ?? 0);
  if (Number.isSafeInteger(count) && count >= 0) return count;
  throw new Failure("INVALID_REQUEST", `${echo(String(cursor))} is not the cursor of a page`, {
    fix: "Use the cursor of the page before.",
  });
}
