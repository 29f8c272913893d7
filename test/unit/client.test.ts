import { afterEach, describe, expect, test } from "vitest";
import { respondFailure } from "../../src/bus/guest-answers.ts";
import { serve } from "../../src/bus/serve.ts";
import { clientOn } from "../../src/client/client.ts";
import { digestOf } from "../../src/client/put-module.ts";
import { systemClock } from "../../src/clock.ts";
import { clientLimits } from "../../src/limits.ts";
import { subjectFor } from "../../src/protocol/addresses.ts";
import { Failure } from "../../src/protocol/errors.ts";
import type { InstanceSummary } from "../../src/protocol/instance-spec.ts";
import { startMemoryServer } from "../support/memory-bus.ts";

const lattice = "test";
const view = { complete: true, gaps: [], asOf: "2026-01-01T00:00:00.000Z" };
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

function world(options: { maxPayloadBytes?: number } = {}) {
  const server = startMemoryServer(options);
  const [there, here] = [server.connect(), server.connect()];
  const client = clientOn(here, lattice);
  closing.push(
    () => there.close(),
    () => client.close(),
  );
  return { there, client };
}

function instance(instanceId: string, more: Partial<InstanceSummary> = {}): InstanceSummary {
  return {
    instanceId,
    nodeId: "n1",
    moduleHash: `sha256:${"0".repeat(64)}`,
    createdAt: view.asOf,
    status: "running",
    incarnation: 1,
    restarts: 0,
    since: view.asOf,
    ...more,
  };
}

async function failureOfPromise(work: Promise<unknown>): Promise<Pick<Failure, "code" | "message" | "fix">> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Failure) return { code: error.code, message: error.message, fix: error.fix };
    throw error;
  }
  throw new Error("it did not fail");
}

describe("commands", () => {
  test("say how to start a control plane where none listens", async () => {
    const { client } = world();
    expect(await failureOfPromise(client.nodes())).toEqual({
      code: "COMMUNICATION_FAILURE",
      message: "no control plane listens in lattice test",
      fix: "start one: wasmatrix up / wasmatrix control-plane",
    });
  });

  test("list every page in order", async () => {
    const { there, client } = world();
    const asked: (string | undefined)[] = [];
    serve(there, systemClock, "ctl.instance.list", { lattice }, ({ after }) => {
      asked.push(after);
      const all = [instance("a"), instance("b"), instance("c")];
      const from = after === undefined ? 0 : Number(after);
      return {
        instances: all.slice(from, from + 1),
        view,
        ...(from < 2 ? { next: String(from + 1) } : {}),
      } as never;
    });
    const ids: string[] = [];
    for await (const one of client.list()) ids.push(one.instanceId);
    expect({ ids, asked }).toEqual({ ids: ["a", "b", "c"], asked: [undefined, "1", "2"] });
  });
});

describe("modules", () => {
  test("too large for one message travel in pieces, no more than four at once, and start by their digest", async () => {
    const { there, client } = world({ maxPayloadBytes: 65_536 });
    const bytes = new Uint8Array(1_000_000).map((_, index) => index % 251);
    const digest = digestOf(bytes);
    const held = new Uint8Array(bytes.length);
    let heldBytes = 0;
    let present = 0;
    let presentMax = 0;
    serve(there, systemClock, "ctl.module.put", { lattice }, async (piece) => {
      if (!("offset" in piece)) throw new Failure("INVALID_REQUEST", "whole");
      presentMax = Math.max(presentMax, ++present);
      await new Promise((resolve) => setImmediate(resolve));
      present -= 1;
      held.set(piece.bytes, piece.offset);
      heldBytes += piece.bytes.length;
      return { digest: piece.digest, complete: heldBytes === piece.sizeBytes, holders: ["n1"] } as never;
    });
    const started: unknown[] = [];
    serve(there, systemClock, "ctl.instance.start", { lattice }, (request) => {
      started.push(request.module);
      return { instances: [instance("a")] } as never;
    });
    await client.start({ module: { bytes } });
    expect({ digest: digestOf(held), presentMax, started }).toEqual({
      digest,
      presentMax: clientLimits.piecesInFlightMax,
      started: [{ digest }],
    });
  });
});

describe("calls", () => {
  test("resolve with the guest's bytes", async () => {
    const { there, client } = world();
    there.subscribe(subjectFor("call", { lattice, target: "echo", operation: "say" }), (message) =>
      message.respond(message.data),
    );
    expect(Buffer.from(await client.call("echo", "say", Buffer.from("hello"))).toString()).toBe("hello");
  });

  test("reject with the failure that came back, its fix included (R13.6)", async () => {
    const { there, client } = world();
    there.subscribe(subjectFor("call", { lattice, target: "crasher", operation: "trap" }), (message) =>
      respondFailure(message, new Failure("GUEST_TRAPPED", "divide by zero", { fix: "inspect it" }), 0),
    );
    expect(await failureOfPromise(client.call("crasher", "trap"))).toEqual({
      code: "GUEST_TRAPPED",
      message: "divide by zero",
      fix: "inspect it",
    });
  });

  test("of an instance that does not run name its status", async () => {
    const { there, client } = world();
    serve(there, systemClock, "ctl.instance.list", { lattice }, ({ name }) => {
      const instances = name === "crasher" ? [instance("crasher-1", { name, status: "gave-up" })] : [];
      return { instances, view } as never;
    });
    expect(await failureOfPromise(client.call("crasher", "ok"))).toMatchObject({
      code: "INSTANCE_UNAVAILABLE",
      message: "crasher is gave-up; nobody takes its calls now",
    });
    expect(await failureOfPromise(client.call("nobody", "ok"))).toMatchObject({ code: "INSTANCE_NOT_FOUND" });
  });

  test("that nobody can explain say that no control plane listens", async () => {
    const { client } = world();
    expect(await failureOfPromise(client.call("echo", "say"))).toMatchObject({
      code: "COMMUNICATION_FAILURE",
    });
  });
});

describe("facts", () => {
  test("come in order, those that are asked for alone, and end with the feed", async () => {
    const { there, client } = world();
    const feed = client.facts({ instanceId: "a", kinds: ["instance.running"] });
    await feed.ready;
    const tell = (seq: number, verb: string, data: object) =>
      there.publish(
        subjectFor("fact", { lattice, node: "n1", noun: "instance", verb }),
        Buffer.from(
          JSON.stringify({
            lattice,
            node: "n1",
            epoch: 1,
            seq,
            at: view.asOf,
            kind: `instance.${verb}`,
            data,
          }),
        ),
      );
    tell(1, "running", { instanceId: "a", restarts: 0 });
    tell(2, "running", { instanceId: "b", restarts: 0 });
    tell(3, "stopped", { instanceId: "a", restarts: 0, reason: "told to" });
    tell(4, "running", { instanceId: "a", restarts: 1 });
    const seqs: number[] = [];
    for await (const fact of feed) {
      seqs.push(fact.seq);
      if (seqs.length === 2) break;
    }
    expect({ seqs, end: await feed.next() }).toEqual({ seqs: [1, 4], end: { done: true, value: undefined } });
  });

  test("that wait beyond the bound end the feed with RESOURCE_EXHAUSTED instead of a silent gap", async () => {
    const { there, client } = world();
    const feed = client.logs();
    await feed.ready;
    const line = { at: view.asOf, lattice, node: "n1", instanceId: "a", stream: "stdout", text: "x" };
    const data = Buffer.from(JSON.stringify(line));
    for (let sent = 0; sent <= clientLimits.feedItemsMax; sent += 1) {
      there.publish(subjectFor("log", { lattice, node: "n1", instance: "a" }), data);
    }
    let read = 0;
    const reading = (async () => {
      // The marker comes last, so everything before it has been delivered.
      await there.flush();
      await new Promise((resolve) => setImmediate(resolve));
      for await (const _line of feed) read += 1;
    })();
    expect(await failureOfPromise(reading)).toMatchObject({ code: "RESOURCE_EXHAUSTED" });
    expect(read).toBe(clientLimits.feedItemsMax + 1);
  });
});
