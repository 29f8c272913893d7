import { afterAll, beforeAll } from "vitest";
import type { Capability, CapabilityScope } from "../../src/capabilities/capability.ts";
import type { BlobLimits } from "../../src/capabilities/blobstore/failures.ts";
import { blobLimits } from "../../src/limits.ts";
import { decode, encode, type Form } from "../../src/protocol/codec.ts";
import { memoryStreams } from "../support/byte-sources.ts";
import { capabilityScope } from "../support/capability-scope.ts";

/** Small, so that the limits can be reached. */
export const smallLimits: BlobLimits = {
  ...blobLimits,
  objectBytesMax: 3 * 1024 * 1024,
  bytesPerContainerMax: 8 * 1024 * 1024,
  containersPerBucketMax: 4,
};

/** The streams of all scopes of these tests. */
export const streams = memoryStreams();

/** Text as bytes. */
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Bytes of which each place tells where it is. */
export const numbered = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * 7 + (index >> 8)) % 256);

/** The scope of a guest of that name. */
export function scopeOf(name: string, config: Record<string, string> = {}): CapabilityScope {
  return capabilityScope({ instanceId: `${name}-1`, name, config, streams });
}

/** A store under test; each test has a bucket of its own. */
export interface BlobLab {
  /** The name of the guest that calls unless told. */
  readonly guestName: string;
  readonly call: (
    operation: string,
    fields: object,
    form?: Form,
    scope?: CapabilityScope,
  ) => Promise<unknown>;
  /** An empty container of a bucket that no other test has. */
  readonly container: (name?: string) => Promise<void>;
  /** In the container `c`, as are the next ones. */
  readonly put: (name: string, body: Uint8Array | string) => Promise<unknown>;
  readonly get: (name: string, range?: object) => Promise<unknown>;
  readonly list: (fields?: object) => Promise<unknown>;
}

/** Makes the store before the tests of the present suite and closes it after them. */
export function blobLab(create: () => Promise<Capability>): BlobLab {
  let store: Capability;
  let count = 0;
  beforeAll(async () => {
    store = await create();
  });
  afterAll(() => store.close());
  const lab: BlobLab = {
    get guestName() {
      return `guest${count}`;
    },
    call: async (operation, fields, form = "msgpack", scope = scopeOf(lab.guestName)) =>
      decode(await store.call(scope, operation, encode(fields, form))).value,
    async container(name = "c") {
      count += 1;
      await lab.call("create-container", { container: name });
    },
    put: (name, body) => lab.call("put-object", { container: "c", name, body }),
    get: (name, range = {}) => lab.call("get-object", { container: "c", name, ...range }),
    list: (fields = {}) => lab.call("list-objects", { container: "c", ...fields }),
  };
  return lab;
}
