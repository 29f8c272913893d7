import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { guestTalkLimits } from "../../../src/limits.ts";
import { wasiFunctions } from "../../../src/wasm/admission/host-functions.ts";
import { answerSink, byteSource, lineSink } from "../../../src/wasm/guests/byte-streams.ts";
import { GuestExit } from "../../../src/wasm/guests/guest.ts";
import { GuestLife } from "../../../src/wasm/guests/guest-life.ts";
import { errno } from "../../../src/wasm/guests/wasi-errno.ts";
import { wasiImports } from "../../../src/wasm/guests/wasi-p1.ts";
import { worldOf } from "../../../src/wasm/guests/wasi-world.ts";
import { bytesOf, guestHost, textOf } from "../../support/guest-host.ts";
import { watModule } from "../../support/wat.ts";

type Run = (...args: (number | bigint)[]) => Promise<number>;

const pageBytes = 65_536;

/** A guest that passes calls on, so that imports are reached as a guest reaches them. */
function openGuest(payload = "") {
  const names = [...wasiFunctions.keys()];
  const wrappers = names.map((name) => {
    const { parameters, results } = wasiFunctions.get(name)!;
    const type = `(param ${parameters.join(" ")}) (result ${results.join(" ")})`;
    const args = parameters.map((_, index) => `(local.get ${index})`).join(" ");
    return {
      imported: `(import "wasi_snapshot_preview1" "${name}" (func $${name} ${type}))`,
      exported: `(func (export "${name}") ${type} (call $${name} ${args}))`,
    };
  });
  modules.open ??= watModule(`(module ${wrappers.map((one) => one.imported).join("\n")}
    (memory (export "memory") 1) ${wrappers.map((one) => one.exported).join("\n")})`);
  const life = new GuestLife();
  const sleeps: number[] = [];
  const host = guestHost({
    config: { A: "1", B: "zwei" },
    now: () => 1_700_000_000_123,
    async sleep(ms) {
      sleeps.push(ms);
    },
  });
  const stdin = byteSource();
  const stdout = answerSink();
  const stderr = lineSink((line) => host.log("stderr", line));
  stdin.refill(bytesOf(payload));
  const world = worldOf(host, ["name", "operation"], { stdin, stdout, stderr });
  const { exports } = new WebAssembly.Instance(modules.open, {
    wasi_snapshot_preview1: wasiImports(life, world),
  });
  const memory = exports["memory"] as WebAssembly.Memory;
  life.memory.attach(memory);
  const run: Record<string, Run> = {};
  for (const name of names) run[name] = WebAssembly.promising(exports[name] as () => number) as Run;
  return {
    run,
    view: new DataView(memory.buffer),
    bytes: new Uint8Array(memory.buffer),
    stdout,
    stderr,
    sleeps,
    host,
  };
}

const modules: { open?: WebAssembly.Module } = {};

describe("every function of wasi_snapshot_preview1", () => {
  test("is there, and nothing else", () => {
    const world = worldOf(guestHost(), [], {
      stdin: byteSource(),
      stdout: answerSink(),
      stderr: answerSink(),
    });
    expect(Object.keys(wasiImports(new GuestLife(), world)).sort()).toEqual([...wasiFunctions.keys()].sort());
    expect(wasiFunctions.size).toBe(46);
  });

  const i32 = fc.oneof(
    fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    fc.integer({ min: 0, max: 4 }),
    fc.integer({ min: pageBytes - 64, max: pageBytes + 1 }),
    fc.integer({ min: 0, max: 2_000 }),
  );
  const i64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

  // R2.2, P3: whatever a guest asks, it gets an error number and nothing of the host.
  test.each([...wasiFunctions.keys()])("%s answers any arguments with an error number", async (name) => {
    const { parameters } = wasiFunctions.get(name)!;
    const argument = fc.tuple(...parameters.map((type) => (type === "i64" ? i64 : i32)));
    await fc.assert(
      fc.asyncProperty(argument, fc.uint8Array({ maxLength: 2_000 }), async (args, contents) => {
        const guest = openGuest("payload");
        guest.bytes.set(contents);
        if (name === "proc_exit") {
          await expect(guest.run[name]!(...args)).rejects.toEqual(new GuestExit((args[0] as number) >>> 0));
          return;
        }
        expect(Object.values(errno)).toContain(await guest.run[name]!(...args));
      }),
      { numRuns: 150 },
    );
  });

  const outside = pageBytes - 3;
  test.each<[name: string, ...args: (number | bigint)[]]>([
    ["args_get", outside, 0],
    ["args_get", 0, outside],
    ["args_sizes_get", outside, 0],
    ["args_sizes_get", 0, outside],
    ["environ_get", outside, 0],
    ["environ_get", 0, outside],
    ["environ_sizes_get", outside, 0],
    ["environ_sizes_get", 0, outside],
    ["clock_res_get", 0, outside],
    ["clock_time_get", 0, 0n, outside],
    ["fd_fdstat_get", 0, outside],
    ["fd_filestat_get", 0, outside],
    ["fd_read", 0, outside, 1, 0],
    ["fd_read", 0, 0, 1, outside],
    ["fd_write", 1, outside, 1, 0],
    ["fd_write", 1, 0, 1, outside],
    ["fd_write", 1, -8, 2, 0],
    ["poll_oneoff", outside, 0, 1, 0],
    ["poll_oneoff", 0, outside, 1, 0],
    ["poll_oneoff", 0, 0, 1, outside],
    ["random_get", outside, 4],
    ["random_get", -1, 2],
  ])("%s(%s, %s, %s, %s) is EFAULT", async (name, ...args) => {
    expect(await openGuest().run[name]!(...args)).toBe(errno.fault);
  });
});

describe("the standard streams", () => {
  test("any split of reads over any buffers gives the payload in order, and then the end of the file", async () => {
    const sizes = fc.array(fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 4 }), {
      minLength: 1,
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(fc.string({ maxLength: 100 }), sizes, async (payload, calls) => {
        const { run, view, bytes } = openGuest(payload);
        const parts: Buffer[] = [];
        for (const buffers of calls) {
          for (const [index, size] of buffers.entries()) {
            view.setUint32(64 + index * 8, 1_024 + index * 64, true);
            view.setUint32(68 + index * 8, size, true);
          }
          expect(await run["fd_read"]!(0, 64, buffers.length, 8)).toBe(errno.success);
          let left = view.getUint32(8, true);
          for (const [index, size] of buffers.entries()) {
            parts.push(
              Buffer.from(bytes.slice(1_024 + index * 64, 1_024 + index * 64 + Math.min(size, left))),
            );
            left -= Math.min(size, left);
          }
          expect(left).toBe(0);
        }
        const wanted = calls.flat().reduce((sum, size) => sum + size, 0);
        expect(Buffer.concat(parts)).toEqual(Buffer.from(payload).subarray(0, wanted));
      }),
    );
  });

  test("any buffers written to stdout are the answer, in order", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(fc.string({ maxLength: 20 }), { maxLength: 4 })), async (calls) => {
        const { run, view, bytes, stdout } = openGuest();
        for (const texts of calls) {
          let at = 1_024;
          for (const [index, text] of texts.entries()) {
            const encoded = bytesOf(text);
            bytes.set(encoded, at);
            view.setUint32(64 + index * 8, at, true);
            view.setUint32(68 + index * 8, encoded.length, true);
            at += encoded.length;
          }
          expect(await run["fd_write"]!(1, 64, texts.length, 8)).toBe(errno.success);
          expect(view.getUint32(8, true)).toBe(at - 1_024);
        }
        expect(textOf(stdout.take())).toBe(calls.flat().join(""));
      }),
    );
  });

  test("a write with a bad buffer or a bad place for its result has no effect at all", async () => {
    const { run, view, stdout } = openGuest();
    view.setUint32(68, 10, true);
    view.setUint32(72, 0xffff_fff0, true);
    view.setUint32(76, 10, true);
    expect(await run["fd_write"]!(1, 64, 2, 8)).toBe(errno.fault);
    expect(await run["fd_write"]!(1, 64, 1, pageBytes - 3)).toBe(errno.fault);
    expect(stdout.take()).toEqual(new Uint8Array(0));
  });

  test("one write to the log is short, so that the rest is paid for again", async () => {
    const { run, view } = openGuest();
    for (const at of [64, 72]) view.setUint32(at + 4, pageBytes, true);
    expect(await run["fd_write"]!(2, 64, 2, 8)).toBe(errno.success);
    expect(view.getUint32(8, true)).toBe(guestTalkLimits.logWriteBytesMax);
  });

  test("more buffers than a list may have are EINVAL", async () => {
    const { run } = openGuest();
    expect(await run["fd_write"]!(1, 4_096, guestTalkLimits.ioVectorsMax, 8)).toBe(errno.success);
    expect(await run["fd_write"]!(1, 4_096, guestTalkLimits.ioVectorsMax + 1, 8)).toBe(errno.inval);
    expect(await run["fd_read"]!(0, 4_096, -1, 8)).toBe(errno.inval);
  });

  test("stdin cannot be written, stdout cannot be read, and no other descriptor is open", async () => {
    const { run } = openGuest();
    expect(await run["fd_write"]!(0, 64, 0, 8)).toBe(errno.badf);
    expect(await run["fd_read"]!(1, 64, 0, 8)).toBe(errno.badf);
    expect(await run["fd_write"]!(3, 64, 0, 8)).toBe(errno.badf);
    expect(await run["fd_fdstat_get"]!(-1, 64)).toBe(errno.badf);
  });

  test("none of them is taken for a terminal or a file with a position", async () => {
    const { run, view } = openGuest();
    for (const fd of [0, 1, 2]) {
      expect(await run["fd_fdstat_get"]!(fd, 64)).toBe(errno.success);
      expect(view.getUint8(64)).toBe(0);
      expect(await run["fd_seek"]!(fd, 0n, 0, 64)).toBe(errno.spipe);
      expect(await run["fd_tell"]!(fd, 64)).toBe(errno.spipe);
    }
  });

  test("a closed one stays closed, and one can take the place of another", async () => {
    const { run, view, host, stderr } = openGuest();
    expect(await run["fd_renumber"]!(2, 7)).toBe(errno.badf);
    expect(await run["fd_renumber"]!(2, 1)).toBe(errno.success);
    view.setUint32(64, 1_024, true);
    view.setUint32(68, 2, true);
    view.setUint16(1_024, 0x6869);
    expect(await run["fd_write"]!(1, 64, 1, 8)).toBe(errno.success);
    stderr.flush();
    expect(host.lines).toEqual(["stderr: hi"]);
    expect(await run["fd_write"]!(2, 64, 1, 8)).toBe(errno.badf);
    expect(await run["fd_close"]!(1)).toBe(errno.success);
    expect(await run["fd_close"]!(1)).toBe(errno.badf);
  });
});

describe("what a guest is not given", () => {
  // R2.2
  test("there are no directories: no preopen, no path", async () => {
    const { run } = openGuest();
    expect(await run["fd_prestat_get"]!(3, 64)).toBe(errno.badf);
    expect(await run["path_open"]!(3, 0, 0, 4, 0, 0n, 0n, 0, 64)).toBe(errno.badf);
    expect(await run["path_open"]!(0, 0, 0, 4, 0, 0n, 0n, 0, 64)).toBe(errno.notcapable);
    expect(await run["path_symlink"]!(0, 4, 1, 0, 4)).toBe(errno.notcapable);
  });

  // R2.2
  test("there are no sockets and no signals", async () => {
    const { run } = openGuest();
    expect(await run["sock_accept"]!(3, 0, 64)).toBe(errno.badf);
    expect(await run["sock_send"]!(1, 64, 0, 0, 8)).toBe(errno.notsock);
    expect(await run["proc_raise"]!(9)).toBe(errno.nosys);
  });

  test("random bytes come in bounded pieces and differ", async () => {
    const { run, bytes } = openGuest();
    expect(await run["random_get"]!(0, 32)).toBe(errno.success);
    expect(await run["random_get"]!(32, 32)).toBe(errno.success);
    expect(bytes.slice(0, 32)).not.toEqual(bytes.slice(32, 64));
    expect(bytes.slice(64, 96)).toEqual(new Uint8Array(32));
    expect(await run["random_get"]!(0, guestTalkLimits.randomBytesMax + 1)).toBe(errno.inval);
  });
});

describe("clocks", () => {
  const now = 1_700_000_000_123_000_000n;

  /** A subscription to a clock, 48 bytes at `at`. */
  function subscribe(
    view: DataView,
    at: number,
    userdata: bigint,
    clock: number,
    timeout: bigint,
    flags = 0,
  ): void {
    view.setBigUint64(at, userdata, true);
    view.setUint8(at + 8, 0);
    view.setUint32(at + 16, clock, true);
    view.setBigUint64(at + 24, timeout, true);
    view.setUint16(at + 40, flags, true);
  }

  /** What was told of each event: user data, error, kind, bytes, flags. */
  function events(view: DataView, at: number, count: number): (number | bigint)[][] {
    return Array.from({ length: count }, (_, index) => {
      const event = at + index * 32;
      return [
        view.getBigUint64(event, true),
        view.getUint16(event + 8, true),
        view.getUint8(event + 10),
        view.getBigUint64(event + 16, true),
        view.getUint16(event + 24, true),
      ];
    });
  }

  test("tell the host's time in whole milliseconds, and there are two", async () => {
    const { run, view } = openGuest();
    for (const clock of [0, 1]) {
      expect(await run["clock_time_get"]!(clock, 0n, 64)).toBe(errno.success);
      expect(view.getBigUint64(64, true)).toBe(now);
      expect(await run["clock_res_get"]!(clock, 64)).toBe(errno.success);
      expect(view.getBigUint64(64, true)).toBe(1_000_000n);
    }
    expect(await run["clock_time_get"]!(2, 0n, 64)).toBe(errno.inval);
  });

  test("the shortest of several timers rings, together with those that ring at the same moment", async () => {
    const { run, view, sleeps } = openGuest();
    subscribe(view, 1_000, 1n, 1, 30_000_000n);
    subscribe(view, 1_048, 2n, 1, 10_000_000n);
    subscribe(view, 1_096, 3n, 0, now + 9_000_001n, 1);
    expect(await run["poll_oneoff"]!(1_000, 4_000, 3, 8)).toBe(errno.success);
    expect(sleeps).toEqual([10]);
    expect(events(view, 4_000, view.getUint32(8, true))).toEqual([
      [2n, 0, 0, 0n, 0],
      [3n, 0, 0, 0n, 0],
    ]);
  });

  test("descriptors are ready at once, so that nobody sleeps", async () => {
    const { run, view, sleeps } = openGuest("12345");
    subscribe(view, 1_000, 1n, 1, 30_000_000n);
    for (const [index, [kind, fd]] of [
      [1, 0],
      [2, 1],
      [1, 9],
    ].entries()) {
      subscribe(view, 1_048 + index * 48, BigInt(index + 2), fd!, 0n);
      view.setUint8(1_048 + index * 48 + 8, kind!);
    }
    expect(await run["poll_oneoff"]!(1_000, 4_000, 4, 8)).toBe(errno.success);
    expect(sleeps).toEqual([]);
    expect(events(view, 4_000, view.getUint32(8, true))).toEqual([
      [2n, 0, 1, 5n, 0],
      [3n, 0, 2, BigInt(guestTalkLimits.logWriteBytesMax), 0],
      [4n, errno.badf, 1, 0n, 1],
    ]);
  });

  test("a moment that is past rings at once, and a sleep for ever ends with the longest call", async () => {
    const { run, view, sleeps } = openGuest();
    subscribe(view, 1_000, 1n, 0, now - 5n, 1);
    expect(await run["poll_oneoff"]!(1_000, 4_000, 1, 8)).toBe(errno.success);
    expect(sleeps).toEqual([]);
    subscribe(view, 1_000, 1n, 1, 2n ** 64n - 1n);
    expect(await run["poll_oneoff"]!(1_000, 4_000, 1, 8)).toBe(errno.success);
    expect(sleeps).toEqual([300_000]);
  });

  test("a list that is empty, too long or of unknown kinds is EINVAL", async () => {
    const { run, view } = openGuest();
    expect(await run["poll_oneoff"]!(1_000, 4_000, 0, 8)).toBe(errno.inval);
    expect(await run["poll_oneoff"]!(0, 0, guestTalkLimits.pollSubscriptionsMax + 1, 8)).toBe(errno.inval);
    view.setUint8(1_008, 3);
    expect(await run["poll_oneoff"]!(1_000, 4_000, 1, 8)).toBe(errno.inval);
  });
});
