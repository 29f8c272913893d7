import { describe, expect, it } from "vitest";
import { admit } from "../../../src/wasm/admission/admit.ts";
import {
  assemblyScriptFunctions,
  hostModules,
  wapcFunctions,
  wasiFunctions,
} from "../../../src/wasm/admission/host-functions.ts";
import type { FunctionType } from "../../../src/wasm/admission/value-types.ts";
import { failureFrom } from "../../support/failure-of.ts";
import { wat } from "../../support/wat.ts";

const memory = '(memory (export "memory") 1)';
const guestCall = '(func (export "__guest_call") (param i32 i32) (result i32) (i32.const 1))';
const start = '(func (export "_start"))';
const fdWrite = '(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))';
const pollOneoff =
  '(import "wasi_snapshot_preview1" "poll_oneoff" (func (param i32 i32 i32 i32) (result i32)))';
const hostCall = '(import "wapc" "__host_call" (func (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))';
const abort = '(import "env" "abort" (func (param i32 i32 i32 i32)))';

const admitted = (...fields: string[]) => {
  const { kind, maySuspend } = admit(wat(`(module ${fields.join("\n")})`), { memoryBytesMax: 65_536 });
  return { kind, maySuspend };
};
const refusal = (...fields: string[]) => failureFrom(() => admitted(...fields));

describe("the kind of a guest", () => {
  it.each([
    ["waPC: exports __guest_call", [memory, guestCall], "wapc", false],
    ["waPC: may call the host", [hostCall, memory, guestCall], "wapc", true],
    ["waPC: from AssemblyScript", [abort, hostCall, memory, guestCall], "wapc", true],
    ["waPC: from TinyGo, which uses WASI and _start", [fdWrite, memory, guestCall, start], "wapc", false],
    ["a WASI command", [fdWrite, memory, start], "wasi-command", false],
    ["a WASI command that imports nothing", [start], "wasi-command", false],
    ["a WASI command that may sleep", [pollOneoff, memory, start], "wasi-command", true],
    [
      "a WASI reactor",
      [fdWrite, memory, '(func (export "_initialize")) (func (export "f"))'],
      "wasi-reactor",
      false,
    ],
    ["a WASI reactor that imports nothing", ['(func (export "add") (param i64))'], "wasi-reactor", false],
  ])("%s", (_, fields, kind, maySuspend) => {
    expect(admitted(...fields)).toEqual({ kind, maySuspend });
  });
});

describe("no host would run", () => {
  it.each([
    ["a module without exports", [], /no entry point/, /__guest_call \(waPC\), _start \(a WASI command\)/],
    ["a reactor with nothing to call", ['(func (export "_initialize"))'], /no entry point/, /WASI reactor/],
    ["a memory named _start", ['(memory (export "_start") 1)'], /no entry point/, /_start/],
    [
      "an unknown import module",
      ['(import "js" "eval" (func))', start],
      /unknown import "js\.eval"/,
      /wasi_snap/,
    ],
    [
      "an unknown function of WASI",
      ['(import "wasi_snapshot_preview1" "fd_rm_rf" (func))', memory, start],
      /unknown import "wasi_snapshot_preview1\.fd_rm_rf" \(function\)/,
      /functions of wasi_snapshot_preview1/,
    ],
    [
      "an older WASI",
      ['(import "wasi_unstable" "fd_close" (func (param i32) (result i32)))', memory, start],
      /unknown import "wasi_unstable\.fd_close"/,
      /wasi_snapshot_preview1/,
    ],
    [
      "an unknown function of waPC",
      ['(import "wapc" "__host_exec" (func))', memory, guestCall],
      /unknown import "wapc\.__host_exec"/,
      /wapc, env/,
    ],
    [
      "a waPC import in a command",
      [hostCall, memory, start],
      /imports from wapc, but exports no/,
      /__guest_call/,
    ],
    [
      "an AssemblyScript import in a command",
      [abort, memory, start],
      /unknown import "env\.abort"/,
      /wasi-command/,
    ],
    [
      "a function named like a member of every object",
      ['(import "env" "__proto__" (func))', memory, guestCall],
      /env\.__proto__/,
      /wapc/,
    ],
    [
      "an imported global",
      ['(import "env" "abort" (global i32))', memory, guestCall],
      /"env\.abort" \(global\)/,
      /wapc/,
    ],
    [
      "an imported table",
      ['(import "env" "abort" (table 1 funcref))', memory, guestCall],
      /\(table\)/,
      /wapc/,
    ],
    [
      "a host function of another type",
      ['(import "wapc" "__host_response" (func (param i64)))', memory, guestCall],
      /is \(i32\) -> \(\), the module wants "\(i64\) -> \(\)"/,
      /interface/,
    ],
    [
      "an entry of another type",
      [memory, '(func (export "__guest_call"))'],
      /must be \(i32, i32\) -> i32/,
      /type/,
    ],
    ["a command with parameters", ['(func (export "_start") (param i32))'], /must be \(\) -> \(\)/, /type/],
    ["a waPC guest without a memory", [guestCall], /must export its memory/, /--export-memory/],
    [
      "a WASI guest without a memory",
      [fdWrite, "(memory 1)", start],
      /must export its memory/,
      /--export-memory/,
    ],
    [
      "a WASI guest with a function named memory",
      [fdWrite, '(func (export "memory"))', start],
      /must export its/,
      /./,
    ],
  ])("%s", (_, fields, message, fix) => {
    const failure = refusal(...fields);
    expect(failure.code).toBe("INVALID_MODULE");
    expect(failure.message).toMatch(message);
    expect(failure.fix).toMatch(fix);
  });

  it("an import whose name would spoil the log or fill it", () => {
    const { message } = refusal(`(import "a\\0a\\1b[31m" "${"x".repeat(500)}" (func))`, start);
    expect(message).toContain('"a\u{fffd}\u{fffd}[31m.xxx');
    expect(message.length).toBeLessThan(150);
  });
});

describe("the list of host functions", () => {
  it("has all of WASI preview 1, of waPC, and what AssemblyScript wants", () => {
    expect([wasiFunctions.size, wapcFunctions.size, assemblyScriptFunctions.size]).toEqual([46, 9, 3]);
  });

  it("lets a guest import each of them", () => {
    const list = (word: string, types: FunctionType["results"]) =>
      types.length > 0 ? `(${word} ${types.join(" ")})` : "";
    const imports = [...hostModules].flatMap(([module, functions]) =>
      [...functions].map(
        ([name, type]) =>
          `(import "${module}" "${name}" (func ${list("param", type.parameters)} ${list("result", type.results)}))`,
      ),
    );
    expect(imports).toHaveLength(58);
    expect(admitted(...imports, memory, guestCall)).toEqual({ kind: "wapc", maySuspend: true });
  });
});
