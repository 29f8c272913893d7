import { Failure } from "../../../protocol/errors.ts";
import { echo } from "../../../protocol/ids.ts";
import {
  type Answer,
  askProvider,
  flagIn,
  type GrantedCapability,
  integerIn,
  textIn,
  textsIn,
} from "./ask-provider.ts";
import { blobTypes, inBlobWords, IncomingValue, nameTarget, type OutgoingValue } from "./blob-values.ts";
import type { ComponentHost } from "./component-host.ts";

/** `wasi:blobstore/types` object-id. */
export interface ObjectId {
  readonly container: string;
  readonly object: string;
}

/** `wasi:blobstore/container` container: one of those behind the guest's grant. Its errors are texts. */
export class Container {
  readonly #host: ComponentHost;
  readonly #grant: GrantedCapability;
  readonly #name: string;
  readonly #release: () => void;

  constructor(host: ComponentHost, grant: GrantedCapability, name: string) {
    this.#host = host;
    this.#grant = grant;
    this.#name = name;
    this.#release = host.hold(() => {});
  }

  name(): string {
    return this.#name;
  }

  info(): Promise<{ name: string; createdAt: bigint }> {
    return this.#asked("container-info", {}, (answer) => ({
      name: this.#name,
      createdAt: secondsIn(answer, "createdAt"),
    }));
  }

  /** The bytes from `start` to `end`, both inclusive; an end beyond the object's means the object's. */
  getData(name: string, start: bigint, end: bigint): Promise<IncomingValue> {
    const range = { start: position(start), end: position(end) };
    return this.#asked("get-object", { name, ...range }, (answer) => new IncomingValue(this.#host, answer));
  }

  /** What is written to the value becomes the object when the value is finished. */
  writeData(name: string, value: OutgoingValue): Promise<void> {
    return inBlobWords(async () => {
      nameTarget(value, { grant: this.#grant, container: this.#name, name });
    });
  }

  /** A page is asked for at once, so that a refusal is told here. */
  listObjects(): Promise<StreamObjectNames> {
    const ask = (after: string | undefined) =>
      askProvider(this.#host, this.#grant, "list-objects", { container: this.#name, after });
    return inBlobWords(async () => new StreamObjectNames(this.#host, ask, await ask(undefined)));
  }

  deleteObject(name: string): Promise<void> {
    return this.deleteObjects([name]);
  }

  deleteObjects(names: readonly string[]): Promise<void> {
    return this.#asked("delete-objects", { names }, () => {});
  }

  hasObject(name: string): Promise<boolean> {
    return this.#asked("object-exists", { name }, (answer) => flagIn(answer, "exists"));
  }

  objectInfo(name: string): Promise<{ name: string; container: string; createdAt: bigint; size: bigint }> {
    return this.#asked("object-info", { name }, (answer) => ({
      name,
      container: this.#name,
      createdAt: secondsIn(answer, "createdAt"),
      size: integerIn(answer, "size"),
    }));
  }

  clear(): Promise<void> {
    return this.#asked("clear-container", {}, () => {});
  }

  [Symbol.dispose](): void {
    this.#release();
  }

  #asked<Result>(
    operation: string,
    request: Readonly<Record<string, unknown>>,
    read: (answer: Answer) => Result,
  ): Promise<Result> {
    return inBlobWords(async () =>
      read(await askProvider(this.#host, this.#grant, operation, { container: this.#name, ...request })),
    );
  }
}

/** `wasi:blobstore/container` stream-object-names. Holds one page of names. */
export class StreamObjectNames {
  readonly #ask: (after: string) => Promise<Answer>;
  readonly #release: () => void;
  #names: string[];
  #next: string | undefined;

  constructor(host: ComponentHost, ask: (after: string) => Promise<Answer>, first: Answer) {
    this.#ask = ask;
    this.#release = host.hold(() => {});
    this.#names = textsIn(first, "objects");
    this.#next = nextOf(first);
  }

  /** At most `len` names, and whether they were the last. Fewer do not mean the end. */
  readStreamObjectNames(len: bigint): Promise<[string[], boolean]> {
    return inBlobWords(async () => {
      if (len > 0n) await this.#fill();
      return [this.#take(len), this.#isAtEnd()];
    });
  }

  /** How many names were skipped, `num` unless there were fewer, and whether they were the last. */
  skipStreamObjectNames(num: bigint): Promise<[bigint, boolean]> {
    return inBlobWords(async () => {
      let skipped = 0n;
      while (skipped < num && !this.#isAtEnd()) {
        await this.#fill();
        skipped += BigInt(this.#take(num - skipped).length);
      }
      return [skipped, this.#isAtEnd()];
    });
  }

  [Symbol.dispose](): void {
    this.#release();
  }

  async #fill(): Promise<void> {
    if (this.#names.length > 0 || this.#next === undefined) return;
    const page = await this.#ask(this.#next);
    this.#names = textsIn(page, "objects");
    this.#next = nextOf(page);
  }

  #take(len: bigint): string[] {
    return this.#names.splice(0, len < BigInt(this.#names.length) ? Number(len) : this.#names.length);
  }

  #isAtEnd(): boolean {
    return this.#names.length === 0 && this.#next === undefined;
  }
}

/** `wasi:blobstore` 0.2.0-draft on the guest's grant of type `blobstore`. */
export function blobstoreInterfaces(host: ComponentHost) {
  const granted = (): GrantedCapability => ({
    capabilityId: host.capabilityFor("blobstore"),
    providerType: "blobstore",
  });
  const containerOf = (name: string) => new Container(host, granted(), name);
  const ask = (operation: string, request: Readonly<Record<string, unknown>>) =>
    askProvider(host, granted(), operation, request);
  const exists = async (container: string) => flagIn(await ask("container-exists", { container }), "exists");
  const move = (operation: string, from: ObjectId, to: ObjectId): Promise<void> =>
    inBlobWords(async () => void (await ask(operation, { from: placeOf(from), to: placeOf(to) })));

  return {
    "wasi:blobstore/types": blobTypes(host),
    "wasi:blobstore/container": { Container, StreamObjectNames },
    "wasi:blobstore/blobstore": {
      createContainer: (name: string): Promise<Container> =>
        inBlobWords(async () => {
          await ask("create-container", { container: name });
          return containerOf(name);
        }),
      getContainer: (name: string): Promise<Container> =>
        inBlobWords(async () => {
          if (await exists(name)) return containerOf(name);
          throw new Failure("INVALID_REQUEST", `there is no container ${echo(name)}`, {
            fix: "Create it first.",
          });
        }),
      deleteContainer: (name: string): Promise<void> =>
        inBlobWords(async () => void (await ask("delete-container", { container: name }))),
      containerExists: (name: string): Promise<boolean> => inBlobWords(() => exists(name)),
      copyObject: (from: ObjectId, to: ObjectId) => move("copy-object", from, to),
      moveObject: (from: ObjectId, to: ObjectId) => move("move-object", from, to),
    },
  };
}

function placeOf({ container, object }: ObjectId) {
  return { container, name: object };
}

function nextOf(page: Answer): string | undefined {
  return page["next"] === undefined || page["next"] === null ? undefined : textIn(page, "next");
}

/** Guests say the end of an object by the largest number there is. */
function position(offset: bigint): number {
  return offset > maxOffset ? Number.MAX_SAFE_INTEGER : Number(offset);
}

const maxOffset = BigInt(Number.MAX_SAFE_INTEGER);

/** A time of the protocol, ISO 8601 or milliseconds, as the seconds since 1970 that the interface speaks of. */
function secondsIn(answer: Answer, field: string): bigint {
  const value = answer[field];
  const ms = typeof value === "string" ? Date.parse(value) : Number(integerIn(answer, field));
  return Number.isFinite(ms) && ms > 0 ? BigInt(Math.floor(ms / 1_000)) : 0n;
}
