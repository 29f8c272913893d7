import { beforeAll, describe, expect, test } from "vitest";
import type { Capability } from "../../../src/capabilities/capability.ts";
import { createMemoryBlobstore } from "../../../src/capabilities/blobstore/memory.ts";
import { componentLimits } from "../../../src/limits.ts";
import { encode } from "../../../src/protocol/codec.ts";
import type { ComponentCode } from "../../../src/wasm/components/admit-component.ts";
import { blobstoreInterfaces } from "../../../src/wasm/components/world/blobstore.ts";
import { capabilityScope } from "../../support/capability-scope.ts";
import {
  admitted,
  callComponent,
  hostOfLife,
  lifeOf,
  localStreams,
  providedHost,
} from "../../support/component-host.ts";
import { bytesOf, thrownBy } from "../../support/guest-host.ts";
import { virtualClock } from "../../support/virtual-clock.ts";

/** As published, without the streams; https://github.com/WebAssembly/wasi-blobstore. */
const wit = `package test:guest;
world guest {
  import wasi:blobstore/blobstore@0.2.0-draft;
  import wasi:blobstore/container@0.2.0-draft;
  import wasi:blobstore/types@0.2.0-draft;
  export steps: func() -> result<list<string>, string>;
}
package wasi:blobstore@0.2.0-draft {
  interface types {
    type error = string;
    record container-metadata { name: string, created-at: u64 }
    record object-metadata { name: string, container: string, created-at: u64, size: u64 }
    record object-id { container: string, object: string }
    resource outgoing-value {
      new-outgoing-value: static func() -> outgoing-value;
      finish: static func(this: outgoing-value) -> result<_, error>;
    }
    resource incoming-value {
      incoming-value-consume-sync: static func(this: incoming-value) -> result<list<u8>, error>;
      size: func() -> u64;
    }
  }
  interface container {
    use types.{container-metadata, error, incoming-value, object-metadata, outgoing-value};
    resource container {
      name: func() -> result<string, error>;
      info: func() -> result<container-metadata, error>;
      get-data: func(name: string, start: u64, end: u64) -> result<incoming-value, error>;
      write-data: func(name: string, data: borrow<outgoing-value>) -> result<_, error>;
      list-objects: func() -> result<stream-object-names, error>;
      delete-object: func(name: string) -> result<_, error>;
      delete-objects: func(names: list<string>) -> result<_, error>;
      has-object: func(name: string) -> result<bool, error>;
      object-info: func(name: string) -> result<object-metadata, error>;
      clear: func() -> result<_, error>;
    }
    resource stream-object-names {
      read-stream-object-names: func(len: u64) -> result<tuple<list<string>, bool>, error>;
      skip-stream-object-names: func(num: u64) -> result<tuple<u64, bool>, error>;
    }
  }
  interface blobstore {
    use container.{container};
    use types.{error, object-id};
    create-container: func(name: string) -> result<container, error>;
    get-container: func(name: string) -> result<container, error>;
    delete-container: func(name: string) -> result<_, error>;
    container-exists: func(name: string) -> result<bool, error>;
    copy-object: func(src: object-id, dest: object-id) -> result<_, error>;
    move-object: func(src: object-id, dest: object-id) -> result<_, error>;
  }
}`;

const source = `
import store from "wasi:blobstore/blobstore@0.2.0-draft";
import types from "wasi:blobstore/types@0.2.0-draft";
const { OutgoingValue, IncomingValue } = types;
const text = (value) => String.fromCharCode(...value);
const put = (container, name) => {
  const value = OutgoingValue.newOutgoingValue();
  container.writeData(name, value);
  OutgoingValue.finish(value);
};
const get = (container, name, start, end) => text(IncomingValue.incomingValueConsumeSync(container.getData(name, start, end)));
export function steps() {
  const lines = [];
  const step = (run) => {
    try { lines.push(String(run())); } catch (error) { lines.push("failed " + (error.payload ?? error)); }
  };
  step(() => store.containerExists("c"));
  step(() => store.getContainer("c"));
  let c;
  try { c = store.createContainer("c"); } catch (error) { return [error.payload ?? error]; }
  step(() => [store.containerExists("c"), store.getContainer("c").name(), c.info().createdAt]);
  step(() => put(c, "empty"));
  for (const name of ["x", "y", "z"]) step(() => store.copyObject({ container: "seed", object: "seed" }, { container: "c", object: name }));
  step(() => [get(c, "x", 0, 99), get(c, "x", 1, 2), get(c, "empty", 0, 9)]);
  step(() => c.getData("x", 2, 3).size());
  step(() => [c.hasObject("x"), c.hasObject("no"), Object.values(c.objectInfo("x"))]);
  step(() => {
    const names = c.listObjects();
    const [first, ended] = names.readStreamObjectNames(1);
    const skipped = names.skipStreamObjectNames(2);
    return [first, ended, skipped, names.readStreamObjectNames(9), names.readStreamObjectNames(1)].join(" ");
  });
  step(() => get(c, "no", 0, 9));
  step(() => store.copyObject({ container: "c", object: "x" }, { container: "c", object: "x2" }));
  step(() => store.moveObject({ container: "c", object: "y" }, { container: "c", object: "y2" }));
  step(() => [c.deleteObject("z"), c.deleteObjects(["empty"]), c.listObjects().readStreamObjectNames(9)]);
  step(() => { const value = OutgoingValue.newOutgoingValue(); OutgoingValue.finish(value); });
  step(() => [c.clear(), c.listObjects().readStreamObjectNames(9), store.deleteContainer("c")]);
  return lines;
}`;

/** A blobstore in memory behind streams of this process. */
async function lab() {
  const streams = localStreams();
  const store = createMemoryBlobstore({ clock: virtualClock(1_704_164_645_678) });
  const blobstore: Capability = {
    ...store,
    call: (scope, operation, payload) => store.call({ ...scope, streams }, operation, payload),
  };
  const seed = (operation: string, request: Record<string, unknown>) =>
    store.call(capabilityScope({ streams }), operation, encode({ container: "seed", ...request }, "msgpack"));
  await seed("create-container", {});
  await seed("put-object", { name: "seed", body: "xyz012" });
  return { streams, blobstore, seed };
}

describe("wasi:blobstore", () => {
  let code: ComponentCode;
  beforeAll(async () => {
    code = await admitted(source, wit);
  });

  test("P10: a component does all of it on a blobstore provider", async () => {
    const { blobstore } = await lab();
    const guest = lifeOf(code, providedHost({ blobstore }));
    expect(await callComponent(guest, "steps")).toEqual([
      "false",
      'failed INVALID_REQUEST: there is no container "c"',
      "true,c,1704164645",
      "undefined",
      "undefined",
      "undefined",
      "undefined",
      "xyz012,yz,",
      "2",
      "true,false,x,c,1704164645,6",
      "empty false 2,false z,true ,true",
      'failed INVALID_REQUEST: blobstore: there is no object "no" in container "c"',
      "undefined",
      "undefined",
      ",,x,x2,y2,true",
      "failed INVALID_REQUEST: a value was finished that is written to no object",
      ",,true,",
    ]);
  });

  test("R2.5: without a grant its error says so", async () => {
    const guest = lifeOf(code, providedHost({}));
    expect(await callComponent(guest, "steps")).toEqual([
      "PERMISSION_DENIED: the guest has no grant of type blobstore",
    ]);
  });
});

describe("values of a blobstore", () => {
  async function life() {
    const { streams, blobstore, seed } = await lab();
    const host = hostOfLife({ blobstore }, { streams });
    const interfaces = blobstoreInterfaces(host);
    const { OutgoingValue, IncomingValue } = interfaces["wasi:blobstore/types"];
    const container = await interfaces["wasi:blobstore/blobstore"].getContainer("seed");
    const begin = async (name: string, bytes: Uint8Array) => {
      const value = OutgoingValue.newOutgoingValue();
      await container.writeData(name, value);
      const body = value.outgoingValueWriteBody();
      await body.blockingWriteAndFlush(bytes);
      return { value, body };
    };
    return { streams, seed, host, container, begin, OutgoingValue, IncomingValue };
  }
  const all = (1n << 64n) - 1n;

  test.each([0, 3, 65_536, 65_537, 1_000_003])(
    "of %i bytes are read and written as they are",
    async (size) => {
      const { streams, container, begin, OutgoingValue, IncomingValue } = await life();
      const bytes = new Uint8Array(size).map((_, index) => index % 251);
      const { value } = await begin("made", bytes);
      await OutgoingValue.finish(value);
      const copy = OutgoingValue.newOutgoingValue();
      await container.writeData("copy", copy);
      const body = copy.outgoingValueWriteBody();
      const input = IncomingValue.incomingValueConsumeAsync(await container.getData("made", 0n, all));
      for (let rest = BigInt(size); rest > 0n;) rest -= await body.blockingSplice(input, all);
      expect(await thrownBy(() => input.blockingRead(1n))).toEqual({ tag: "closed" });
      await OutgoingValue.finish(copy);
      const whole = await IncomingValue.incomingValueConsumeSync(await container.getData("copy", 0n, all));
      expect(Buffer.compare(whole, bytes)).toBe(0);
      expect(streams.served.size).toBe(0);
    },
  );

  test("one that is given up before it is finished is never stored", async () => {
    const { host, container, begin, OutgoingValue } = await life();
    for (const size of [3, 200_000]) {
      const { value } = await begin("half", new Uint8Array(size));
      value[Symbol.dispose]();
    }
    const { value } = await begin("half", new Uint8Array(200_000));
    expect(await container.hasObject("half")).toBe(false);
    host.dispose();
    expect(await thrownBy(() => OutgoingValue.finish(value))).toMatch(
      /COMMUNICATION_FAILURE: the guest gave the value up/,
    );
    expect(await container.hasObject("half")).toBe(false);
  });

  test("is written to one object, through one stream, named before more is written than fits a message", async () => {
    const { container, begin, OutgoingValue } = await life();
    const { value } = await begin("x", bytesOf("abc"));
    expect(await thrownBy(() => container.writeData("y", value))).toMatch(/already written to an object/);
    expect(await thrownBy(() => value.outgoingValueWriteBody())).toBe(undefined);
    const early = OutgoingValue.newOutgoingValue().outgoingValueWriteBody();
    expect(await thrownBy(() => early.blockingWriteAndFlush(new Uint8Array(65_537)))).toMatchObject({
      tag: "last-operation-failed",
    });
  });

  test("what the provider refuses breaks the stream of whoever writes", async () => {
    const { seed, begin } = await life();
    const { value, body } = await begin("x", new Uint8Array(65_535));
    await seed("delete-container", {});
    const thrown = await thrownBy(() => body.blockingWriteAndFlush(new Uint8Array(1_000_000)));
    expect(thrown).toMatchObject({ tag: "last-operation-failed" });
    value[Symbol.dispose]();
  });

  test("more than may stand in memory at once is refused before it is read", async () => {
    const { container, begin, OutgoingValue, IncomingValue } = await life();
    const { value } = await begin("large", new Uint8Array(componentLimits.wholeBlobBytesMax + 1));
    await OutgoingValue.finish(value);
    const large = await container.getData("large", 0n, all);
    expect(large.size()).toBe(BigInt(componentLimits.wholeBlobBytesMax + 1));
    expect(await thrownBy(() => IncomingValue.incomingValueConsumeSync(large))).toMatch(
      /^PAYLOAD_TOO_LARGE: /,
    );
  });
});
