import { beforeAll, describe, expect, test } from "vitest";
import { componentLimits } from "../../../src/limits.ts";
import type { ComponentCode } from "../../../src/wasm/components/admit-component.ts";
import { createCli } from "../../../src/wasm/components/world/cli.ts";
import { clockInterfaces } from "../../../src/wasm/components/world/clocks.ts";
import type { OutputStream } from "../../../src/wasm/components/world/output-stream.ts";
import { randomInterfaces } from "../../../src/wasm/components/world/random.ts";
import { filesystemInterfaces } from "../../../src/wasm/components/world/filesystem.ts";
import { socketInterfaces } from "../../../src/wasm/components/world/sockets.ts";
import { GuestFault } from "../../../src/wasm/guests/guest-faults.ts";
import { GuestExit } from "../../../src/wasm/guests/guest.ts";
import { admitted, callComponent, hostOfLife, lifeOf, providedHost } from "../../support/component-host.ts";
import { bytesOf, textOf, thrownBy } from "../../support/guest-host.ts";
import { virtualClock } from "../../support/virtual-clock.ts";

const wit = `package test:guest;
world guest {
  import wasi:clocks/monotonic-clock@0.2.3;
  import wasi:clocks/wall-clock@0.2.3;
  import wasi:random/random@0.2.3;
  import wasi:random/insecure@0.2.3;
  import wasi:config/store@0.2.0-rc.1;
  import wasi:logging/logging@0.1.0-draft;
  import wasi:cli/environment@0.2.3;
  import wasi:cli/exit@0.2.3;
  import wasi:cli/stdin@0.2.3;
  import wasi:cli/stdout@0.2.3;
  import wasi:cli/stderr@0.2.3;
  export wasi:cli/run@0.2.3;
  export look: func() -> list<string>;
  export nap: func(ms: u32) -> u64;
  import wasi:io/poll@0.2.3;
  export poll-nothing: func() -> u32;
}
package wasi:io@0.2.3 {
  interface error { resource error { to-debug-string: func() -> string; } }
  interface poll { resource pollable { ready: func() -> bool; block: func(); }
    poll: func(in: list<borrow<pollable>>) -> list<u32>;
  }
  interface streams {
    use error.{error};
    variant stream-error { last-operation-failed(error), closed }
    resource input-stream { blocking-read: func(len: u64) -> result<list<u8>, stream-error>; }
    resource output-stream { blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>; }
  }
}
package wasi:clocks@0.2.3 {
  interface monotonic-clock {
    use wasi:io/poll@0.2.3.{pollable};
    type instant = u64;
    type duration = u64;
    now: func() -> instant;
    subscribe-duration: func(when: duration) -> pollable;
  }
  interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 } now: func() -> datetime; }
}
package wasi:random@0.2.3 {
  interface random { get-random-bytes: func(len: u64) -> list<u8>; get-random-u64: func() -> u64; }
  interface insecure { get-insecure-random-bytes: func(len: u64) -> list<u8>; }
}
package wasi:config@0.2.0-rc.1 {
  interface store {
    variant error { upstream(string), io(string) }
    get: func(key: string) -> result<option<string>, error>;
    get-all: func() -> result<list<tuple<string, string>>, error>;
  }
}
package wasi:logging@0.1.0-draft {
  interface logging {
    enum level { trace, debug, info, warn, error, critical }
    log: func(level: level, context: string, message: string);
  }
}
package wasi:cli@0.2.3 {
  interface environment {
    get-environment: func() -> list<tuple<string, string>>;
    get-arguments: func() -> list<string>;
    initial-cwd: func() -> option<string>;
  }
  interface exit { exit: func(status: result); }
  interface stdin { use wasi:io/streams@0.2.3.{input-stream}; get-stdin: func() -> input-stream; }
  interface stdout { use wasi:io/streams@0.2.3.{output-stream}; get-stdout: func() -> output-stream; }
  interface stderr { use wasi:io/streams@0.2.3.{output-stream}; get-stderr: func() -> output-stream; }
  interface run { run: func() -> result; }
}`;

const source = `
import monotonic from "wasi:clocks/monotonic-clock@0.2.3";
import polling from "wasi:io/poll@0.2.3";
import wall from "wasi:clocks/wall-clock@0.2.3";
import random from "wasi:random/random@0.2.3";
import insecure from "wasi:random/insecure@0.2.3";
import config from "wasi:config/store@0.2.0-rc.1";
import logging from "wasi:logging/logging@0.1.0-draft";
import environment from "wasi:cli/environment@0.2.3";
import exiting from "wasi:cli/exit@0.2.3";
import stdin from "wasi:cli/stdin@0.2.3";
import stdout from "wasi:cli/stdout@0.2.3";
import stderr from "wasi:cli/stderr@0.2.3";
const bytes = (text) => new Uint8Array([...text].map((c) => c.charCodeAt(0)));
const write = (stream, text) => { stream.blockingWriteAndFlush(bytes(text)); stream[Symbol.dispose](); };
export function look() {
  logging.log("warn", "shop", "nearly empty");
  logging.log("info", "", "two\\nlines");
  write(stdout.getStdout(), "half a ");
  write(stdout.getStdout(), "line");
  write(stderr.getStderr(), "first\\nsecond");
  const now = wall.now();
  return [
    now.seconds + "." + now.nanoseconds,
    String(monotonic.now()),
    random.getRandomBytes(16).length + " " + insecure.getInsecureRandomBytes(3).length,
    config.get("color") + " " + config.get("toString") + " " + JSON.stringify(config.getAll()),
    JSON.stringify(environment.getEnvironment()) + environment.getArguments().length + environment.initialCwd(),
  ];
}
export function nap(ms) {
  const before = monotonic.now();
  monotonic.subscribeDuration(ms * 1000000).block();
  return (monotonic.now() - before) / 1000000;
}
export const pollNothing = () => polling.poll([]).length;
export const run = {
  run() {
    const out = stdout.getStdout();
    for (;;) {
      const input = stdin.getStdin();
      let piece;
      try { piece = input.blockingRead(3); } catch { break; }
      input[Symbol.dispose]();
      const text = String.fromCharCode(...piece);
      if (text === "bye") { write(out, "exit"); exiting.exit({ tag: "ok" }); }
      if (text === "bad") exiting.exit({ tag: "err" });
      if (text === "err") throw undefined;
      out.blockingWriteAndFlush(bytes(text.toUpperCase()));
    }
  },
};`;

describe("a component's small interfaces", () => {
  let code: ComponentCode;
  beforeAll(async () => {
    code = await admitted(source, wit);
  });

  test("R2.2: time, chance, configuration and logs are its host's, and there is nothing else", async () => {
    const host = providedHost({}, { now: () => 1_700_000_000_123.9, config: { color: "red" } });
    const guest = lifeOf(code, host);
    expect(await callComponent(guest, "look")).toEqual([
      "1700000000.123000000",
      "1700000000123000000",
      "16 3",
      'red null [["color","red"]]',
      '[["color","red"]]0null',
    ]);
    expect(host.lines).toEqual([
      "console: warn shop: nearly empty",
      "console: info: two",
      "console: lines",
      "stderr: first",
      "stdout: half a line",
      "stderr: second",
    ]);
  });

  test("sleeps on the host's time alone", async () => {
    const clock = virtualClock(1_000);
    const after = (ms: number, callback: () => void) => {
      const timer = clock.setTimeout(callback, ms);
      return () => clock.clearTimeout(timer);
    };
    const guest = lifeOf(code, providedHost({}, { now: () => clock.now(), after }));
    const naps: unknown[] = [];
    const nap = callComponent(guest, "nap", 1_500).then((ms) => naps.push(ms));
    await clock.advance(1_499);
    expect(naps).toEqual([]);
    await clock.advance(1);
    await nap;
    expect([naps, clock.pending()]).toEqual([[1_500], []]);
  });

  test("R8.1: what its interface says traps is the guest's end at once", async () => {
    const guest = lifeOf(code, providedHost({}));
    const thrown = await thrownBy(() => callComponent(guest, "poll-nothing"));
    expect(guest.endOf(thrown)).toMatchObject({ type: "fault", message: "the guest polled an empty list" });
  });

  test("run reads the payload from stdin and answers on stdout, call after call", async () => {
    const guest = lifeOf(code, providedHost({}));
    const answers = [];
    for (const input of ["to and fro", "", "again"])
      answers.push(textOf(await guest.call("run", bytesOf(input))));
    expect(answers).toEqual(["TO AND FRO", "", "AGAIN"]);
  });

  test("exit 1 and an error of run end the guest", async () => {
    for (const input of ["bad", "err"]) {
      const guest = lifeOf(code, providedHost({}));
      const thrown = await thrownBy(() => guest.call("run", bytesOf(input)));
      expect(guest.endOf(thrown)).toMatchObject({ type: "exit", exitCode: 1 });
    }
  });
});

describe("clocks", () => {
  test("the monotonic one never goes back, and deadlines of any size can be waited for", async () => {
    const clock = virtualClock(5_000);
    let skew = 0;
    const after = (ms: number, callback: () => void) => {
      const timer = clock.setTimeout(callback, ms);
      return () => clock.clearTimeout(timer);
    };
    const host = hostOfLife({}, { now: () => clock.now() - skew, after });
    const monotonic = clockInterfaces(host)["wasi:clocks/monotonic-clock"];
    const first = monotonic.now();
    skew = 3_000;
    expect(monotonic.now()).toBe(first);
    skew = 0;
    const hour = monotonic.subscribeDuration(3_600_000_000_000n);
    const never = monotonic.subscribeInstant((1n << 64n) - 1n);
    const woken: string[] = [];
    const waits = [
      Promise.resolve(hour.block()).then(() => woken.push("hour")),
      Promise.resolve(never.block()).then(() => woken.push("never")),
    ];
    await clock.advance(3_599_999);
    expect(woken).toEqual([]);
    await clock.advance(1);
    expect([woken, hour.ready(), never.ready()]).toEqual([["hour"], true, false]);
    host.dispose();
    await Promise.all(waits);
    expect([woken, clock.pending()]).toEqual([["hour", "never"], []]);
  });
});

describe("random", () => {
  test("more bytes at once than it may have end the guest, before any is made", async () => {
    const paid: number[] = [];
    const host = Object.assign(hostOfLife(), { pay: (bytes: number) => void paid.push(bytes) });
    const { getRandomBytes } = randomInterfaces(host)["wasi:random/random"];
    expect(getRandomBytes(BigInt(componentLimits.randomBytesMax)).length).toBe(
      componentLimits.randomBytesMax,
    );
    expect(await thrownBy(() => getRandomBytes((1n << 64n) - 1n))).toBeInstanceOf(GuestFault);
    expect(paid).toEqual([componentLimits.randomBytesMax]);
  });
});

describe("standard streams", () => {
  test("what was written before an exit is still there to answer with", async () => {
    const cli = createCli(hostOfLife(), (code) => {
      throw new GuestExit(code);
    });
    const stdio = cli.stdio(bytesOf(""));
    const { getStdout } = cli.imports["wasi:cli/stdout"] as { getStdout: () => OutputStream };
    const { exit, exitWithCode } = cli.imports["wasi:cli/exit"] as Record<string, (status: unknown) => never>;
    await getStdout().blockingWriteAndFlush(bytesOf("done"));
    const codes = [
      await thrownBy(() => exit?.({ tag: "ok" })),
      await thrownBy(() => exit?.({ tag: "err" })),
      await thrownBy(() => exitWithCode?.(42)),
    ];
    expect(codes).toEqual([new GuestExit(0), new GuestExit(1), new GuestExit(42)]);
    expect(textOf(stdio.answer())).toBe("done");
  });

  test("more output of a run than a message carries is refused, not cut", async () => {
    const cli = createCli(hostOfLife(), (code) => {
      throw new GuestExit(code);
    });
    const stdio = cli.stdio(bytesOf(""));
    const { getStdout } = cli.imports["wasi:cli/stdout"] as { getStdout: () => OutputStream };
    const stream = getStdout();
    const piece = new Uint8Array(64 * 1024);
    for (let written = 0; written < 64 * 1024 * 1024; written += piece.length) stream.write(piece);
    expect(await thrownBy(() => stream.checkWrite())).toMatchObject({ tag: "last-operation-failed" });
    expect(await thrownBy(() => stdio.answer())).toMatchObject({ code: "PAYLOAD_TOO_LARGE" });
  });
});

// R2.2, P3
test("there are no files, and every socket and name is refused", async () => {
  expect(filesystemInterfaces()["wasi:filesystem/preopens"].getDirectories()).toEqual([]);
  const sockets = socketInterfaces();
  const attempts = [
    () => sockets["wasi:sockets/tcp-create-socket"].createTcpSocket(),
    () => sockets["wasi:sockets/udp-create-socket"].createUdpSocket(),
    () => sockets["wasi:sockets/ip-name-lookup"].resolveAddresses(),
  ];
  expect(await Promise.all(attempts.map((attempt) => thrownBy(attempt)))).toEqual(
    Array.from({ length: 3 }, () => "access-denied"),
  );
});
