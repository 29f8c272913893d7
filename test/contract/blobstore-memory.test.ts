import { expect, test } from "vitest";
import { createMemoryBlobstore } from "../../src/capabilities/blobstore/memory.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import { expectRefusal } from "../support/expect-refusal.ts";
import { describeBlobstoreContract } from "./blobstore-contract.ts";
import { scopeOf, smallLimits } from "./blobstore-lab.ts";

describeBlobstoreContract("memory", async () => createMemoryBlobstore({ limits: smallLimits }));

test("R10.2: bytesMax counts all containers, with what each object costs beside its bytes", async () => {
  const limits = { ...smallLimits, bytesMax: 250, objectOverheadBytes: 100 };
  const store = createMemoryBlobstore({ limits });
  const call = async (name: string, operation: string, fields: object) =>
    decode(await store.call(scopeOf(name), operation, encode({ container: "c", ...fields }, "json"))).value;
  for (const name of ["a", "b"]) await call(name, "create-container", {});
  await call("a", "put-object", { name: "o", body: "x".repeat(50) });
  await expectRefusal(
    call("b", "put-object", { name: "o", body: "x" }),
    "RESOURCE_EXHAUSTED",
    "bytesMax, 250",
  );
  await call("b", "put-object", { name: "o", body: "" });
  expect(await call("b", "delete-objects", { names: ["o"] })).toEqual({ deleted: 1 });
  await call("a", "delete-container", {});
  await call("b", "put-object", { name: "o", body: "x".repeat(150) });
});
