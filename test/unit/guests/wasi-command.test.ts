import { describe, expect, test } from "vitest";
import { delay } from "../../../src/clock.ts";
import { guestTalkLimits } from "../../../src/limits.ts";
import { GuestExit } from "../../../src/wasm/guests/guest.ts";
import { createWasiCommand } from "../../../src/wasm/guests/wasi-command.ts";
import { bytesOf, guestHost, textOf, thrownBy } from "../../support/guest-host.ts";
import { virtualClock } from "../../support/virtual-clock.ts";
import { copyStdinTo, wasiGuest, write } from "../../support/wasi-guests.ts";

const streams = ["fd_read", "fd_write"];

function command(body: string, fields = "", names: readonly string[] = streams): WebAssembly.Module {
  return wasiGuest(names, `${fields} (func (export "_start") ${body})`);
}

describe("a WASI command", () => {
  test("reads the payload from stdin and answers on stdout", () => {
    const guest = createWasiCommand(command(copyStdinTo(1)), guestHost());
    expect(textOf(guest.call("x", bytesOf("to and fro")) as Uint8Array)).toBe("to and fro");
  });

  // R1.1, P1
  test("begins anew with each call: a counter does not survive", () => {
    const counting = command(
      `(i32.store8 (i32.const 512) (i32.add (i32.load8_u (i32.const 512)) (i32.const 1)))
       (global.set $count (i32.add (global.get $count) (i32.const 1)))
       (i32.store8 (i32.const 513) (global.get $count)) ${write(1, 512, 2)}`,
      '(global $count (mut i32) (i32.const 48)) (data (i32.const 512) "0")',
    );
    const guest = createWasiCommand(counting, guestHost());
    const answers = ["a", "b", "c"].map((operation) =>
      textOf(guest.call(operation, bytesOf("")) as Uint8Array),
    );
    expect(answers).toEqual(["11", "11", "11"]);
  });

  test("gets its instance id and the operation as arguments", () => {
    const guest = createWasiCommand(
      command(
        `(drop (call $args_sizes_get (i32.const 32) (i32.const 36)))
         (drop (call $args_get (i32.const 512) (i32.const 1024)))
         (i32.store (i32.const 20) (i32.load (i32.const 36)))
         (i32.store (i32.const 16) (i32.load (i32.const 512)))
         (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))`,
        "",
        ["args_get", "args_sizes_get", "fd_write"],
      ),
      guestHost({ instanceId: "shop-1" }),
    );
    expect(textOf(guest.call("list --all", bytesOf("")) as Uint8Array)).toBe("shop-1\0list --all\0");
  });

  // R2.2
  test("has the environment of its start command and nothing of ours", () => {
    const guest = createWasiCommand(
      command(
        `(drop (call $environ_sizes_get (i32.const 32) (i32.const 36)))
         (drop (call $environ_get (i32.const 512) (i32.const 1024)))
         (i32.store (i32.const 20) (i32.load (i32.const 36)))
         (i32.store (i32.const 16) (i32.load (i32.const 512)))
         (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))`,
        "",
        ["environ_get", "environ_sizes_get", "fd_write"],
      ),
      guestHost({ config: { GREETING: "hello", LIMIT: "3" } }),
    );
    expect(textOf(guest.call("x", bytesOf("")) as Uint8Array)).toBe("GREETING=hello\0LIMIT=3\0");
  });

  test("logs stderr by lines, the last one without its end too", () => {
    const host = guestHost();
    const guest = createWasiCommand(
      command(write(2, 512, 14) + write(2, 526, 4), '(data (i32.const 512) "first\\n\\nsecond line")'),
      host,
    );
    expect(guest.call("x", bytesOf(""))).toEqual(new Uint8Array(0));
    expect(host.lines).toEqual(["stderr: first", "stderr: second line"]);
  });

  test("exit 0 answers with what was written until then", () => {
    const guest = createWasiCommand(
      command(
        `${write(1, 512, 4)} (call $proc_exit (i32.const 0)) ${write(1, 512, 4)}`,
        '(data (i32.const 512) "done")',
      ),
      guestHost(),
    );
    expect(textOf(guest.call("x", bytesOf("")) as Uint8Array)).toBe("done");
  });

  test.each([1, 42, 255, -1])("exit %i is its end, with that code", async (code) => {
    const guest = createWasiCommand(command(`(call $proc_exit (i32.const ${code}))`), guestHost());
    const thrown = await thrownBy(() => guest.call("x", bytesOf("")));
    expect(thrown).toEqual(new GuestExit(code >>> 0));
    expect(guest.endOf(thrown)).toMatchObject({ type: "exit", exitCode: code >>> 0 });
  });

  test("a trap in one call does no harm to the next", async () => {
    const guest = createWasiCommand(
      command(
        `${copyStdinTo(1)} (if (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 33)) (then unreachable))`,
      ),
      guestHost(),
    );
    const thrown = await thrownBy(() => guest.call("x", bytesOf("!")));
    expect(guest.endOf(thrown)).toMatchObject({ type: "trap", message: "unreachable" });
    expect(textOf(guest.call("x", bytesOf("fine")) as Uint8Array)).toBe("fine");
  });

  test("more output than a message carries is refused, not cut", () => {
    const half = guestTalkLimits.messageBytesMax / 2;
    const pages = half / 65_536;
    const guest = createWasiCommand(
      command(
        `(drop (memory.grow (i32.const ${pages}))) ${write(1, 0, half)} ${write(1, 0, half)} ${write(1, 0, 1)}`,
      ),
      guestHost(),
    );
    expect(() => guest.call("x", bytesOf(""))).toThrow(
      expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" }),
    );
  });

  test("sleeps on the host's time alone", async () => {
    const clock = virtualClock(1_000);
    const guest = createWasiCommand(
      // A subscription at 512: a clock (0), monotonic (1), 1.5 s.
      command(
        `(drop (call $poll_oneoff (i32.const 512) (i32.const 600) (i32.const 1) (i32.const 700)))
         (i32.store8 (i32.const 700) (i32.add (i32.const 48) (i32.load8_u (i32.const 700))))
         ${write(1, 700, 1)}`,
        `(data (i32.const 528) "\\01\\00\\00\\00") (data (i32.const 536) "\\00\\2f\\68\\59")`,
        ["fd_write", "poll_oneoff"],
      ),
      guestHost({ now: () => clock.now(), sleep: (ms) => delay(clock, ms) }),
    );
    const answers: string[] = [];
    const call = Promise.resolve(guest.call("x", bytesOf(""))).then((bytes) => answers.push(textOf(bytes)));
    await clock.advance(1_499);
    expect(answers).toEqual([]);
    await clock.advance(1);
    await call;
    expect(answers).toEqual(["1"]);
  });

  test("a call while one sleeps is refused", async () => {
    const clock = virtualClock();
    const guest = createWasiCommand(
      command(
        `(drop (call $poll_oneoff (i32.const 512) (i32.const 600) (i32.const 1) (i32.const 700)))`,
        `(data (i32.const 536) "\\00\\2f\\68\\59")`,
        ["poll_oneoff"],
      ),
      guestHost({ now: () => 0, sleep: (ms) => delay(clock, ms) }),
    );
    const first = guest.call("x", bytesOf(""));
    expect(() => guest.call("x", bytesOf(""))).toThrow("a guest was called while a call was in progress");
    await clock.advance(1_500);
    expect(await first).toEqual(new Uint8Array(0));
  });

  test("its fuel is set before a call and says afterwards what is left", async () => {
    const guest = createWasiCommand(
      command(write(1, 0, 10), `(global (export "__wasmatrix_fuel") (mut i32) (i32.const 1000))`),
      guestHost(),
    );
    for (const before of [50_000, 40_000]) {
      guest.fuel!.value = before;
      await guest.call("x", bytesOf(""));
      expect(before - guest.fuel!.value).toBe(1_010);
    }
    guest.fuel!.value = 999;
    expect(guest.endOf(await thrownBy(() => guest.call("x", bytesOf(""))))).toMatchObject({ type: "fuel" });
  });
});
