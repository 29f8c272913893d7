import { describe, expect, test } from "vitest";
import { componentLimits, guestTalkLimits } from "../../../src/limits.ts";
import { Failure } from "../../../src/protocol/errors.ts";
import { GuestFault } from "../../../src/wasm/guests/guest-faults.ts";
import { inputStreamOf, inputStreamWithin } from "../../../src/wasm/components/world/input-stream.ts";
import { closed } from "../../../src/wasm/components/world/io-error.ts";
import { outputStreamOf, type StreamSink } from "../../../src/wasm/components/world/output-stream.ts";
import { pollableOf, pollInterface } from "../../../src/wasm/components/world/poll.ts";
import { hostOfLife, sourceOf } from "../../support/component-host.ts";
import { bytesOf, textOf, thrownBy } from "../../support/guest-host.ts";

const lost = new Failure("COMMUNICATION_FAILURE", "the line is cut");

/** What a stream-error says. */
function told(thrown: unknown): string {
  const { tag, val } = thrown as { tag: string; val?: { toDebugString(): string } };
  return val === undefined ? tag : `${tag} ${val.toDebugString()}`;
}

/** A host that counts how often its guest was suspended. */
function countingHost() {
  const counts = { suspended: 0 };
  const host = hostOfLife(
    {},
    {
      suspend: (work) => {
        counts.suspended += 1;
        return work();
      },
    },
  );
  return { host, counts };
}

describe("an input-stream", () => {
  test("gives what is there without blocking, reads one piece ahead, and ends with closed", async () => {
    const { host, counts } = countingHost();
    const stream = inputStreamOf(host, sourceOf(["abcdef", "gh"]));
    const seen = [textOf(stream.read(4n))];
    await stream.subscribe().block();
    seen.push(textOf(stream.read(4n)), textOf(stream.read(4n)));
    await stream.subscribe().block();
    seen.push(textOf(stream.read(1_000_000_000_000n)), textOf(await stream.blockingRead(0n)));
    expect(seen).toEqual(["", "abcd", "ef", "gh", ""]);
    expect(told(await thrownBy(() => stream.blockingRead(1n)))).toBe("closed");
    expect(counts.suspended).toBe(3);
  });

  test("gives bytes that came first before those of its source, and skips like it reads", async () => {
    const { host } = countingHost();
    const stream = inputStreamOf(host, sourceOf(["cd", "ef"]), bytesOf("ab"));
    expect([
      stream.skip(1n),
      await stream.blockingSkip(9n),
      await stream.blockingSkip(1n),
      textOf(await stream.blockingRead(9n)),
      textOf(await stream.blockingRead(9n)),
    ]).toEqual([1n, 1n, 1n, "d", "ef"]);
  });

  test("tells once what broke it, after all that came before, and is closed then", async () => {
    const { host } = countingHost();
    const stream = inputStreamOf(host, sourceOf(["half"], lost));
    expect(textOf(await stream.blockingRead(9n))).toBe("half");
    expect([
      told(await thrownBy(() => stream.blockingRead(9n))),
      told(await thrownBy(() => stream.read(9n))),
    ]).toEqual(["last-operation-failed COMMUNICATION_FAILURE: the line is cut", "closed"]);
  });

  test("what is no failure ends the guest", async () => {
    const { host } = countingHost();
    const stream = inputStreamOf(host, { read: () => Promise.reject(new Error("a bug")), cancel: () => {} });
    expect(await thrownBy(() => stream.blockingRead(1n))).toEqual(new Error("a bug"));
  });

  test("cancels its source when it is dropped, and when the guest's life is over", () => {
    const host = hostOfLife();
    const [first, second] = [sourceOf(["a"]), sourceOf(["b"])];
    inputStreamOf(host, first)[Symbol.dispose]();
    inputStreamOf(host, second);
    host.dispose();
    host.dispose();
    expect([first.cancelled, second.cancelled]).toEqual([
      ["its reader dropped it"],
      ["the guest that read it has ended"],
    ]);
  });

  test("one within shared bytes leaves to the next one what it has not read", () => {
    const host = hostOfLife();
    const held = { rest: bytesOf("one two") };
    const first = inputStreamWithin(host, held);
    expect(textOf(first.read(4n))).toBe("one ");
    first[Symbol.dispose]();
    expect(textOf(inputStreamWithin(host, held).read(9n))).toBe("two");
  });
});

/** A sink of that size that its reader empties on demand. */
function tank(size: number) {
  let held = "";
  let wake: (() => void) | undefined;
  const calls: string[] = [];
  const sink: StreamSink = {
    room: () => size - held.length,
    write: (bytes) => void (held += textOf(bytes)),
    whenRoom: () => new Promise((resolve) => (wake = resolve)),
    flush: async () => void calls.push("flush"),
    close: () => void calls.push("close"),
  };
  const empty = () => {
    const was = held;
    held = "";
    wake?.();
    return was;
  };
  return { sink, calls, empty };
}

describe("an output-stream", () => {
  test("takes what it has room for, keeps a copy, and ends the guest that writes more", async () => {
    const { sink, empty } = tank(4);
    const stream = outputStreamOf(hostOfLife(), sink);
    const bytes = bytesOf("abc");
    stream.write(bytes);
    bytes.fill(0);
    expect(stream.checkWrite()).toBe(1n);
    expect(await thrownBy(() => stream.write(bytesOf("de")))).toBeInstanceOf(GuestFault);
    expect(empty()).toBe("abc");
  });

  test("writes and flushes more than there is room for, piece by piece", async () => {
    const { sink, calls, empty } = tank(4);
    const { host, counts } = countingHost();
    const stream = outputStreamOf(host, sink);
    const written = stream.blockingWriteAndFlush(bytesOf("abcdefghij"));
    const seen: string[] = [];
    while (seen.join("").length < 8) {
      seen.push(empty());
      await Promise.resolve();
    }
    await written;
    seen.push(empty());
    expect(seen.filter((piece) => piece !== "")).toEqual(["abcd", "efgh", "ij"]);
    expect(calls).toEqual(["flush"]);
    expect(counts.suspended).toBe(3);
  });

  test("has no room while it flushes, and is ready when that is done", async () => {
    const { sink } = tank(4);
    const stream = outputStreamOf(hostOfLife(), sink);
    stream.flush();
    const pollable = stream.subscribe();
    expect([stream.checkWrite(), pollable.ready()]).toEqual([0n, false]);
    await pollable.block();
    expect([stream.checkWrite(), pollable.ready()]).toEqual([4n, true]);
  });

  test("tells once what broke it, whichever operation of its sink it was, and is closed then", async () => {
    const breaking = {
      room: { room: () => fail() },
      write: { write: () => fail() },
      flush: { flush: () => Promise.reject(lost) },
      whenRoom: { room: () => 0, whenRoom: () => Promise.reject(lost) },
    } satisfies Record<string, Partial<StreamSink>>;
    for (const broken of Object.values<Partial<StreamSink>>(breaking)) {
      const stream = outputStreamOf(hostOfLife(), { ...tank(4).sink, ...broken });
      const errors = [
        told(await thrownBy(() => stream.blockingWriteAndFlush(bytesOf("a")))),
        told(await thrownBy(() => stream.checkWrite())),
        told(await thrownBy(() => stream.flush())),
      ];
      expect(errors).toEqual([
        "last-operation-failed COMMUNICATION_FAILURE: the line is cut",
        "closed",
        "closed",
      ]);
      expect(stream.subscribe().ready()).toBe(true);
    }
  });

  test("zeroes are bounded by the room and by what the interface allows at once", async () => {
    const { sink, empty } = tank(8_192);
    const stream = outputStreamOf(hostOfLife(), sink);
    stream.writeZeroes(3n);
    await stream.blockingWriteZeroesAndFlush(4_096n);
    expect(empty()).toBe("\0".repeat(4_099));
    expect(await thrownBy(() => stream.writeZeroes(1n << 60n))).toBeInstanceOf(GuestFault);
    expect(await thrownBy(() => stream.blockingWriteZeroesAndFlush(4_097n))).toBeInstanceOf(GuestFault);
  });

  test("splices what is there, as much as there is room for", async () => {
    const host = hostOfLife();
    const { sink, empty } = tank(4);
    const stream = outputStreamOf(host, sink);
    const source = inputStreamOf(host, sourceOf(["fghi"]), bytesOf("abcde"));
    const moved = [stream.splice(source, 9n)];
    const rest = stream.blockingSplice(source, 9n);
    await Promise.resolve();
    expect(empty()).toBe("abcd");
    moved.push(await rest, await stream.blockingSplice(source, 2n), stream.splice(source, 9n));
    expect([moved, empty()]).toEqual([[4n, 1n, 2n, 1n], "efgh"]);
    await stream.blockingSplice(source, 9n);
    expect(told(await thrownBy(() => stream.blockingSplice(source, 9n)))).toBe("closed");
  });

  test("closes its sink once: when it is dropped, and when the guest's life is over", async () => {
    const host = hostOfLife();
    const [first, second] = [tank(1), tank(1)];
    outputStreamOf(host, first.sink)[Symbol.dispose]();
    const stream = outputStreamOf(host, second.sink);
    host.dispose();
    expect([first.calls, second.calls]).toEqual([["close"], ["close"]]);
    expect(await thrownBy(() => stream.checkWrite())).toBe(closed);
  });
});

describe("polling", () => {
  test("tells which are ready without waiting, else waits for the first", async () => {
    const { host, counts } = countingHost();
    const { poll } = pollInterface(host);
    let isReady = false;
    let wake: () => void = () => {};
    const late = pollableOf(
      host,
      () => isReady,
      () => new Promise((resolve) => (wake = resolve)),
    );
    const never = pollableOf(
      host,
      () => false,
      () => new Promise(() => {}),
    );
    const always = pollableOf(
      host,
      () => true,
      () => Promise.resolve(),
    );
    expect(poll([never, always, always])).toEqual(Uint32Array.of(1, 2));
    expect(counts.suspended).toBe(0);
    const polled = poll([never, late]);
    isReady = true;
    wake();
    expect(await polled).toEqual(Uint32Array.of(1));
    expect(counts.suspended).toBe(1);
  });

  test("ends with the guest's life, whatever it waits for", async () => {
    const host = hostOfLife();
    const never = pollableOf(
      host,
      () => false,
      () => new Promise(() => {}),
    );
    const waits = [
      Promise.resolve(never.block()),
      Promise.resolve(pollInterface(host).poll([never])),
    ] as const;
    host.dispose();
    expect(await Promise.all(waits)).toEqual([undefined, Uint32Array.of(0)]);
    expect(await thrownBy(() => never.block())).toBeInstanceOf(GuestFault);
  });

  test("a thing that is polled again and again is asked to wake once", async () => {
    const host = hostOfLife();
    const { poll } = pollInterface(host);
    let asked = 0;
    const never = pollableOf(
      host,
      () => false,
      () => {
        asked += 1;
        return new Promise(() => {});
      },
    );
    for (let turn = 0; turn < 100; turn += 1) {
      let isReady = false;
      const soon = pollableOf(
        host,
        () => isReady,
        async () => void (isReady = true),
      );
      expect(await poll([never, soon])).toEqual(Uint32Array.of(1));
      soon[Symbol.dispose]();
    }
    expect(asked).toBe(1);
  });

  test("empty and endless lists end the guest", async () => {
    const host = hostOfLife();
    const { poll } = pollInterface(host);
    const one = pollableOf(
      host,
      () => true,
      () => Promise.resolve(),
    );
    const tooMany = Array.from({ length: guestTalkLimits.pollSubscriptionsMax + 1 }, () => one);
    expect(await thrownBy(() => poll([]))).toBeInstanceOf(GuestFault);
    expect(await thrownBy(() => poll(tooMany))).toBeInstanceOf(GuestFault);
  });
});

// R14.4
test("a guest holds no more than it may, and what it gives back counts no more", async () => {
  const host = hostOfLife();
  const held = Array.from({ length: componentLimits.resourcesMax }, () => inputStreamOf(host, undefined));
  expect(await thrownBy(() => inputStreamOf(host, undefined))).toBeInstanceOf(GuestFault);
  for (const stream of held) {
    stream[Symbol.dispose]();
    stream[Symbol.dispose]();
  }
  expect(inputStreamOf(host, undefined)).toBeDefined();
});

function fail(): never {
  throw lost;
}
