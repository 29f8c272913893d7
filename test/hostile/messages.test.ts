import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { filterFor, subjectFor } from "../../src/protocol/addresses.ts";
import { decode } from "../../src/protocol/codec.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { type SubjectName, subjects } from "../../src/protocol/subjects.ts";
import { countingModule, done } from "../support/lattice-workload.ts";
import { startLattice, type TestLattice } from "../support/lattice.ts";

const json = (text: string) => new Uint8Array(Buffer.from(text));
const hex = (digits: string) => new Uint8Array(Buffer.from(digits.replaceAll(" ", ""), "hex"));
const keys = Array.from({ length: 60_000 }, (_, index) => `"k${index}":1`).join(",");

/** Bytes that are no message of anybody's. */
const hostile: Record<string, Uint8Array> = {
  nothing: new Uint8Array(),
  "JSON nested a million deep": json("[".repeat(1_000_000)),
  "MessagePack nested a million deep": new Uint8Array(1_000_000).fill(0x91),
  "60,000 keys": json(`{${keys}}`),
  "a key of 900,000 letters": json(`{"${"k".repeat(900_000)}":1}`),
  __proto__: json('{"__proto__":{"ok":true}}'),
  "constructor.prototype": json('{"constructor":{"prototype":{"ok":true}}}'),
  "a map that announces 2^32 - 1 entries": hex("df ffffffff a16101"),
  "an array that announces 2^32 - 1": hex("81 a161 dd ffffffff 01"),
  "a string longer than the message": hex("81 a161 db ffffffff 61"),
  "an extension type": hex("81 a161 c7 08 05 0000000000000000"),
  "JSON that is not UTF-8": hex("7b 22 61 22 3a 22 c3 28 22 7d"),
  "trailing bytes": hex("80 c0 c0"),
  "a number beyond all": json('{"count":1e999}'),
  "an array": json("[]"),
  noise: new Uint8Array(Array.from({ length: 5_000 }, (_, index) => (index * 7_919) & 0xff)),
};

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const heapBytes = () => {
  collect();
  return process.memoryUsage().heapUsed;
};

let lattice: TestLattice;
beforeAll(async () => {
  lattice = await startLattice();
  await lattice.controlPlane("cp1");
  await lattice.node("n1");
  await lattice.kvProvider("p1");
  await done(lattice, "instance.start", { module: countingModule, instanceId: "witness" });
});
afterAll(() => lattice[Symbol.asyncDispose]());

const parameters = { lattice: "default", node: "n1", controlPlane: "cp9", noun: "instance", verb: "running" };
const rows = (Object.keys(subjects) as SubjectName[]).filter(
  (name) => subjects[name].payload !== null && !name.startsWith("other"),
);
const asked = rows.filter((name) => subjects[name].reply !== null);
const heard = rows.filter((name) => subjects[name].reply === null);

/** The refusal; what is taken is an error of the test. Undefined where nobody listens: some subjects need roles on the bus. */
async function refusalOf(
  name: SubjectName,
  bytes: Uint8Array,
): Promise<{ code: string; message: string } | undefined> {
  const subject = subjectFor(name, parameters);
  const answer = await lattice.bus.request(subject, bytes, { timeoutMs: 10_000 }).catch((error: unknown) => {
    if (error instanceof Failure && error.details?.["noResponders"] === true) return undefined;
    throw error;
  });
  if (answer === undefined) return undefined;
  const { value } = decode(answer.data) as {
    value: { ok: boolean; error: { code: string; message: string } };
  };
  expect(value.ok, `${name} was taken`).toBe(false);
  return value.error;
}

describe("P18, R13.5, R13.6: bytes that are no message, on every subject that takes messages", () => {
  test(
    "are refused with INVALID_REQUEST in few words, harm no instance, and leave no memory behind",
    { timeout: 60_000 },
    async () => {
      const round = async () => {
        for (const [what, bytes] of Object.entries(hostile)) {
          // Parts take fields of a newer version from each other, whatever they are called; people's requests are strict.
          const refusing = what.startsWith("a key of")
            ? asked.filter((name) => name.startsWith("ctl."))
            : asked;
          const refusals = await Promise.all(refusing.map((name) => refusalOf(name, bytes)));
          const told = refusals.filter((refusal) => refusal !== undefined);
          expect(told.length, what).toBeGreaterThan(refusing.length * 0.8);
          for (const { code, message } of told) {
            expect(code, what).toBe("INVALID_REQUEST");
            expect(message.length).toBeLessThan(400);
            expect(message).toMatch(/^[\x20-\x7e–…−]*$/);
          }
          for (const name of heard) lattice.bus.publish(subjectFor(name, parameters), bytes);
        }
      };
      await round();
      const before = heapBytes();
      for (let turn = 0; turn < 2; turn += 1) await round();
      await expect
        .poll(async () => {
          const { instance, view } = await done(lattice, "instance.query", { instanceId: "witness" });
          return [instance.status, instance.restarts, view.complete];
        })
        .toEqual(["running", 0, true]);
      expect(await lattice.call("witness", "count")).toBe("1");
      // What is on its way to be written is let go a moment later.
      await expect.poll(heapBytes, { timeout: 5_000 }).toBeLessThan(before * 1.1 + 4 * 1024 * 1024);
      expect(Object.keys(Object.prototype)).toEqual([]);
    },
  );

  test("one byte more than the bus carries fails at once, with both numbers", async () => {
    const tooMuch = new Uint8Array(lattice.bus.maxPayloadBytes + 1);
    const failure = await lattice.bus
      .request(subjectFor("ctl.node.list", { lattice: "default" }), tooMuch, { timeoutMs: 5_000 })
      .catch((error: unknown) => error as Failure);
    expect(failure).toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
    expect((failure as Failure).message).toContain("1048576");
    expect((failure as Failure).message).toContain("1048577");
  });

  test("a command that asks to be answered elsewhere than in an inbox is not made to publish there", async () => {
    const before = Number(await lattice.call("witness", "count"));
    const stolen: string[] = [];
    const listening = lattice.bus.subscribe(
      filterFor("call", { lattice: "default", target: "witness" }),
      (message) => stolen.push(message.subject),
    );
    const raw = await import("nats");
    const connection = await raw.connect({ servers: lattice.server.url });
    connection.publish(subjectFor("ctl.node.list", { lattice: "default" }), "{}", {
      reply: subjectFor("call", { lattice: "default", target: "witness", operation: "trap" }),
    });
    await connection.flush();
    // An answer to it would have been sent before the answer to this.
    await done(lattice, "node.list", {});
    await connection.close();
    listening.unsubscribe();
    expect(stolen).toEqual([]);
    expect(await lattice.call("witness", "count")).toBe(String(before + 1));
  });
});
