import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createColors } from "picocolors";
import { describe, expect, test } from "vitest";
import { failureText } from "../../cli/render/failure.ts";
import { factLine } from "../../cli/render/fact.ts";
import { instanceSheet, providerTable } from "../../cli/render/lists.ts";
import { logLine } from "../../cli/render/log-line.ts";
import { authenticatorFrom } from "../../src/bus/credentials.ts";
import { checkFilter, checkHeaders, checkQueue, checkSubject } from "../../src/bus/names.ts";
import { validate } from "../../src/bus/serve.ts";
import type { LogLine } from "../../src/protocol/calls.ts";
import { Failure } from "../../src/protocol/errors.ts";
import type { Fact } from "../../src/protocol/facts.ts";
import { specOf } from "../support/lattice-histories.ts";
import { failureFrom } from "../support/failure-of.ts";

const plain = createColors(false);
const bidi = "\u202e\u2066";
const escapes = "\u001b[2J\u001b]0;title\u0007\r\nroot@host:~# ";
const printable = /^[\x20-\x7e…]*$/;

describe("R13.6, P18: a refusal shows no more than 64 characters of what it refuses, all of them printable", () => {
  test.each<[string, string]>([
    ["a field of a million letters", "x".repeat(1_000_000)],
    ["a field with controls", escapes],
    ["a field with marks that turn text around", bidi.repeat(40)],
  ])("%s that nobody knows", (_, name) => {
    const { code, message, details } = failureFrom(() => validate("ctl.node.list", { [name]: 1 }));
    expect(code).toBe("INVALID_REQUEST");
    expect(message).toMatch(printable);
    expect(message.length).toBeLessThan(150);
    expect(JSON.stringify(details).length).toBeLessThan(200);
  });

  test("many unknown fields are counted, not listed", () => {
    const many = Object.fromEntries(Array.from({ length: 4_000 }, (_, index) => [`field-${index}`, 1]));
    expect(failureFrom(() => validate("ctl.node.list", many)).message.length).toBeLessThan(400);
  });

  test("a key within a map is a field with a name like any other", () => {
    const config = { [`${escapes}${"k".repeat(500)}`]: 7 };
    const request = { module: { digest: `sha256:${"a".repeat(64)}` }, config };
    const { message, details } = failureFrom(() => validate("ctl.instance.start", request));
    expect(message).toMatch(/^"config\./);
    expect(message).toMatch(printable);
    expect(JSON.stringify(details)).toMatch(printable);
  });

  test.each([checkSubject, checkFilter, checkQueue])("a name for the bus in %o", (check) => {
    for (const name of [`a ${"x".repeat(5_000)}`, `a${bidi}b`, "a\r\nPUB evil 0\r\n"]) {
      const { message } = failureFrom(() => check(name));
      expect(message).toMatch(printable);
      expect(message.length).toBeLessThan(120);
    }
  });

  test("a header whose value cannot travel", () => {
    const { message, details } = failureFrom(() => checkHeaders({ ["X".repeat(250)]: "a\r\nb" }));
    expect(message.length).toBeLessThan(130);
    expect(JSON.stringify(details).length).toBeLessThan(130);
  });
});

describe("R13.6: nothing that a guest or a stranger wrote moves the cursor of a terminal", () => {
  const frame = { lattice: "default", node: "n1", epoch: 1, seq: 1, at: "2026-01-02T03:04:05.678Z" };

  test("in the line of a fact", () => {
    const crash = { reason: "trap", message: `${escapes}${bidi}`, operation: "go", at: frame.at } as const;
    const data = { instanceId: "i-1", restarts: 0, crash };
    const line = factLine(plain, { ...frame, kind: "instance.crashed", data } as Fact);
    expect(line).toMatch(printable);
    const dated = factLine(plain, { ...frame, at: `0000-00-00T${escapes}`, kind: "node.draining", data: {} });
    expect(dated).toMatch(printable);
  });

  test("in the line of a guest's log, which keeps its letters and tabs", () => {
    const line: LogLine = {
      ...frame,
      instanceId: "i-1",
      stream: "stdout",
      text: `grün\t日本 ${escapes}${bidi}\u009b31m`,
    };
    expect(logLine(plain, line)).toBe(
      `03:04:05.678  i-1  grün\t日本 \\u{1b}[2J\\u{1b}]0;title\\u{7}\\u{d}\\u{a}root@host:~# \\u{202e}\\u{2066}\\u{9b}31m`,
    );
  });

  test("in the sheet of an instance that crashed, and in the list of providers", () => {
    const text = `${escapes}${bidi}`;
    const { capabilities, restartPolicy, limits, config, moduleHash } = specOf("i-1", 1, 1);
    const detail = {
      instanceId: "i-1",
      nodeId: "n1",
      moduleHash,
      createdAt: frame.at,
      status: "crashed" as const,
      incarnation: 1,
      restarts: 0,
      since: frame.at,
      reason: text,
      capabilities,
      restartPolicy,
      limits,
      config,
      lastCrash: { reason: "trap" as const, message: text, operation: text, backtrace: [text], at: frame.at },
    };
    const provider = {
      provider: "kv",
      providerType: "kv",
      nodeId: "n1",
      status: "failed" as const,
      backend: "memory",
      version: "1",
      since: frame.at,
      reason: text,
    };
    for (const shown of [instanceSheet(plain, 0, detail), providerTable(plain, 0, [provider])])
      for (const line of shown.split("\n")) expect(line).toMatch(/^[^\p{Cc}\p{Cf}\p{Zl}]*$/u);
  });

  test("in a failure, whose words may be a guest's", () => {
    const failure = new Failure("GUEST_ERROR", `first\nsecond ${escapes}`, { fix: `try${bidi}` });
    const text = failureText(failure, { json: false, paint: plain, at: frame.at });
    expect(text.split("\n").every((line) => /^[\x20-\x7e→]*$/.test(line))).toBe(true);
    expect(text).toContain("first\nsecond");
  });
});

test("R13.5: a seed with a letter changed is refused when it is read, not when the bus asks for a signature", () => {
  const directory = mkdtempSync(join(tmpdir(), "wasmatrix-hostile-"));
  try {
    const file = join(directory, "user.seed");
    writeFileSync(file, "SUAOVPKYFG5HGTNGAUR5H6WYYRAIVCHHLCBSYHKSSUDSPW56PYB3UOMVYQ");
    expect(failureFrom(() => authenticatorFrom(file))).toMatchObject({ code: "INVALID_REQUEST" });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
