import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { buildExamples } from "../../scripts/build-examples.ts";
import { type Client, connect } from "../../src/client/client.ts";
import { startLattice, type TestLattice } from "../support/lattice.ts";

const examples = await buildExamples(["echo", "crasher", "greeter"]);
const bytesOf = (name: keyof typeof examples) => new Uint8Array(readFileSync(examples[name].path));
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (value: string) => new TextEncoder().encode(value);

describe("the client library on a lattice of two nodes", () => {
  let lattice: TestLattice;
  let client: Client;
  beforeAll(async () => {
    lattice = await startLattice();
    await lattice.controlPlane("cp1");
    await lattice.node("n1");
    await lattice.node("n2");
    client = await connect({ servers: lattice.server.url, lattice: "default" });
  });
  afterAll(async () => {
    await client.close();
    await lattice[Symbol.asyncDispose]();
  });

  test("a module over the payload limit is uploaded in pieces, and pulled by the node that has not got it", async () => {
    const big = withPadding(bytesOf("echo"), 3 * 1024 * 1024);
    expect(big.length).toBeGreaterThan(lattice.bus.maxPayloadBytes);
    const { digest } = await client.putModule(big);
    const started = await client.start({ module: { digest }, name: "big", count: 4 });
    expect(new Set(started.map((one) => one.nodeId))).toEqual(new Set(["n1", "n2"]));
    for (const { instanceId } of started) {
      expect(text(await client.call(instanceId, "go", bytes("over the bus")))).toBe("over the bus");
    }
    await vi.waitFor(async () => {
      const { modules } = await client.modules();
      expect(modules.find((one) => one.digest === digest)?.holders.toSorted()).toEqual(["n1", "n2"]);
    });
  });

  test("a call over the payload limit is refused with both numbers, not with a timeout", async () => {
    const [instance] = await client.start({ module: { bytes: bytesOf("echo") } });
    const tooMuch = new Uint8Array(lattice.bus.maxPayloadBytes + 1);
    await expect(client.call(instance?.instanceId ?? "", "go", tooMuch)).rejects.toMatchObject({
      code: "PAYLOAD_TOO_LARGE",
      message: expect.stringContaining(String(lattice.bus.maxPayloadBytes)),
    });
  });

  test("a call to a stopped instance says that it is stopped, one to nobody that there is none", async () => {
    const [instance] = await client.start({ module: { bytes: bytesOf("echo") } });
    const instanceId = instance?.instanceId ?? "";
    await client.stop({ instanceId });
    await expect(client.call(instanceId, "go")).rejects.toMatchObject({ code: "INSTANCE_UNAVAILABLE" });
    await expect(client.call("nobody", "go")).rejects.toMatchObject({ code: "INSTANCE_NOT_FOUND" });
  });

  test("facts and a guest's output can be followed", async () => {
    const facts = client.facts({ kinds: ["instance.running"] });
    const logs = client.logs("polite");
    await lattice.bus.flush();
    await client.start({
      module: { bytes: bytesOf("greeter") },
      name: "polite",
      instanceId: "polite-1",
      config: { GREETING: "Hi" },
    });
    for await (const fact of facts) {
      expect(fact).toMatchObject({ kind: "instance.running", data: { instanceId: "polite-1" } });
      break;
    }
    expect(text(await client.call("polite", "greet", bytes("Ada")))).toBe("Hi, Ada!");
    for await (const line of logs) {
      expect(line).toMatchObject({ instanceId: "polite-1", name: "polite", stream: "stderr" });
      break;
    }
  });

  test("R8.1: calls to a name go on while one of its instances crashes", async () => {
    await client.start({ module: { bytes: bytesOf("crasher") }, name: "shared", count: 2 });
    await expect(client.call("shared", "trap")).rejects.toMatchObject({ code: "GUEST_TRAPPED" });
    await vi.waitFor(async () => expect(text(await client.call("shared", "ok"))).toBe("ok"));
  });

  test("a lattice without a control plane goes on answering calls, and says what is missing", async () => {
    await using alone = await startLattice();
    const controlPlane = await alone.controlPlane("cp1");
    await alone.node("n1");
    const other = await connect({ servers: alone.server.url, lattice: "default" });
    const [instance] = await other.start({
      module: { bytes: bytesOf("crasher") },
      restartPolicy: { type: "always" },
    });
    const instanceId = instance?.instanceId ?? "";
    await controlPlane.stop();
    await expect(other.call(instanceId, "trap")).rejects.toMatchObject({ code: "GUEST_TRAPPED" });
    await vi.waitFor(async () => expect(text(await other.call(instanceId, "ok"))).toBe("ok"));
    await expect(other.query(instanceId)).rejects.toMatchObject({ code: "COMMUNICATION_FAILURE" });
    await other.close();
  });
});

/** The same module with a custom section that nobody reads. */
function withPadding(module: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const name = bytes("padding");
  const content = 1 + name.length + size;
  const length = [
    (content & 0x7f) | 0x80,
    ((content >> 7) & 0x7f) | 0x80,
    ((content >> 14) & 0x7f) | 0x80,
    content >> 21,
  ];
  const padded = new Uint8Array(module.length + 1 + length.length + content);
  padded.set(module);
  padded.set([0, ...length, name.length, ...name], module.length);
  return padded;
}
