import { describe, expect, test } from "vitest";
import { progressBar } from "../../cli/render/progress.ts";
import { cliLimits } from "../../src/limits.ts";
import { virtualClock } from "../support/virtual-clock.ts";

async function drawn(options: { errorIsTerminal: boolean; json: boolean }) {
  const clock = virtualClock();
  const lines: string[] = [];
  const bar = progressBar({ ...options, clock, writeError: (text) => void lines.push(text) }, "uploading");
  bar.show(1, 100 * 1024 * 1024);
  await clock.advance(cliLimits.progressAfterMs);
  await clock.advance(700);
  bar.show(25 * 1024 * 1024, 100 * 1024 * 1024);
  bar.show(26 * 1024 * 1024, 100 * 1024 * 1024);
  bar.end();
  return lines;
}

describe("the bar of an upload", () => {
  test("says how far it is and how fast, not more often than eyes can see, and goes away", async () => {
    expect(await drawn({ errorIsTerminal: true, json: false })).toEqual([
      "\r\u001b[2Kuploading ████████░░░░░░░░░░░░░░░░░░░░░░ 25%  25 MiB of 100 MiB  25 MiB/s",
      "\r\u001b[2K",
    ]);
  });

  test("is not there with --json, or where no person looks", async () => {
    expect(await drawn({ errorIsTerminal: true, json: true })).toEqual([]);
    expect(await drawn({ errorIsTerminal: false, json: false })).toEqual([]);
  });
});
