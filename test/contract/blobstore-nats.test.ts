import { Objm } from "@nats-io/obj";
import { connect, type NatsConnection } from "nats";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { natsStoreName } from "../../src/capabilities/blobstore/nats-names.ts";
import { createNatsBlobstore } from "../../src/capabilities/blobstore/nats.ts";
import { systemClock } from "../../src/clock.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import { drained, watchedSource } from "../support/byte-sources.ts";
import { expectRefusal } from "../support/expect-refusal.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";
import { describeBlobstoreContract } from "./blobstore-contract.ts";
import { scopeOf, smallLimits } from "./blobstore-lab.ts";

let server: NatsServer;
let connection: NatsConnection;
beforeAll(async () => {
  server = await startNatsServer({ jetstream: true });
  connection = await connect({ servers: server.url });
});
afterAll(async () => {
  await connection.close();
  await server.stop();
});

const create = () => createNatsBlobstore({ connection, clock: systemClock, limits: smallLimits });

describeBlobstoreContract("NATS JetStream", create);

describe("R5.4: blobs in NATS JetStream", () => {
  const scope = scopeOf("outside");
  const place = { bucket: "test/outside", container: "c" };

  async function opened() {
    const store = await create();
    const call = async (operation: string, fields: object) =>
      decode(await store.call(scope, operation, encode({ container: "c", ...fields }, "msgpack"))).value;
    await call("delete-container", {});
    await call("create-container", {});
    const outside = await new Objm(connection).open(natsStoreName(place));
    return { store, call, outside };
  }

  test("other clients of the object store read what is put, and the other way round", async () => {
    const { store, call, outside } = await opened();
    const body = Uint8Array.from({ length: 300_000 }, (_, index) => index % 251);
    await call("put-object", { name: "ours", body });
    expect(Buffer.from((await outside.getBlob("ours")) ?? []).equals(body)).toBe(true);
    expect(await outside.info("ours")).toMatchObject({
      name: "ours",
      size: 300_000,
      chunks: 3,
      deleted: false,
    });
    await outside.putBlob({ name: "theirs" }, body.subarray(0, 1_000));
    expect(await call("get-object", { name: "theirs" })).toEqual({ size: 1_000, body: body.slice(0, 1_000) });
    expect(await call("list-objects", {})).toEqual({ objects: ["ours", "theirs"] });
    await outside.delete("theirs");
    expect(await call("list-objects", {})).toEqual({ objects: ["ours"] });
    expect(await call("object-exists", { name: "theirs" })).toEqual({ exists: false });
    await call("put-object", { name: "theirs", body: "again" });
    expect(await call("get-object", { name: "theirs" })).toEqual({
      size: 5,
      body: new TextEncoder().encode("again"),
    });
    await store.close();
  });

  test("a reader of an object that is replaced hears of it instead of waiting or mixing", async () => {
    const { store, call } = await opened();
    await call("put-object", { name: "o", body: new Uint8Array(500_000).fill(1) });
    const { stream } = (await call("get-object", { name: "o" })) as { stream: string };
    const source = scope.streams.open(stream);
    const first = await source.read(1_000);
    expect(first).toEqual(new Uint8Array(1_000).fill(1));
    await call("put-object", { name: "o", body: new Uint8Array(500_000).fill(2) });
    await expectRefusal(drained(source), "COMMUNICATION_FAILURE", "changed while it was read");
    const other = scope.streams.open(
      ((await call("get-object", { name: "o" })) as { stream: string }).stream,
    );
    await call("delete-container", {});
    await expectRefusal(drained(other), "COMMUNICATION_FAILURE", "changed while it was read");
    await store.close();
  });

  test("two processes that write one object leave one, and none of the other's bytes", async () => {
    const { store, call, outside } = await opened();
    const other = await create();
    const puts = Array.from({ length: 10 }, (_, index) =>
      (index % 2 ? other : store).call(
        scope,
        "put-object",
        encode({ container: "c", name: "o", body: new Uint8Array(100_000).fill(index) }, "msgpack"),
      ),
    );
    await Promise.all(puts);
    const { streamInfo } = await outside.status();
    // The description and one chunk.
    expect(streamInfo.state.messages).toBe(2);
    await call("delete-objects", { names: ["o"] });
    expect((await outside.status()).streamInfo.state.messages).toBe(0);
    await store.close();
    await other.close();
  });

  test("a body is read no faster than the server takes it", async () => {
    const { store } = await opened();
    const proxy = await startTcpProxy(server.port);
    const behind = await connect({ servers: proxy.url });
    const far = await createNatsBlobstore({ connection: behind, clock: systemClock, limits: smallLimits });
    const piece = new Uint8Array(262_144);
    function* endless() {
      proxy.freeze();
      for (;;) yield piece;
    }
    const source = watchedSource(endless());
    const fields = { container: "c", name: "o", stream: scope.streams.serve(source) };
    const putting = far.call(scope, "put-object", encode(fields, "msgpack"));
    await expectRefusal(putting, "COMMUNICATION_FAILURE", "no answer from JetStream");
    expect(source.bytesGiven).toBe(smallLimits.chunkBytes);
    expect(source.cancelledBecause).toBe("the object was not taken");
    proxy.thaw();
    await Promise.all([far.close(), store.close()]);
    await behind.close();
    await proxy.stop();
  });

  test("R5.5: it outlives its provider and the server", async () => {
    const { store, call } = await opened();
    await call("put-object", { name: "o", body: "lasts" });
    await store.close();
    await server.restart();
    const again = await connect({ servers: server.url });
    const other = await createNatsBlobstore({ connection: again, clock: systemClock });
    await other.check();
    expect(
      decode(await other.call(scope, "get-object", encode({ container: "c", name: "o" }, "json"))).value,
    ).toEqual({ size: 5, body: "lasts" });
    await other.close();
    await again.close();
  });

  test("P20: without JetStream it says so", async () => {
    await using plain = await startNatsServer();
    const bare = await connect({ servers: plain.url });
    await expectRefusal(
      createNatsBlobstore({ connection: bare, clock: systemClock }),
      "PROVIDER_UNAVAILABLE",
      "JetStream does not answer",
    );
    await bare.close();
  });
});
