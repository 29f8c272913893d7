import { buffer } from "node:stream/consumers";
import { CommanderError } from "commander";
import { connect } from "../src/client/client.ts";
import { systemClock } from "../src/clock.ts";
import { createProgram } from "./program.ts";
import { paintFor } from "./render/paint.ts";

/** Runs the command line of this process; the exit code is set and never forced, so that output is not cut off. */
export async function run(argv: readonly string[]): Promise<void> {
  const ending = new AbortController();
  // The second Ctrl-C of an impatient person ends the process on the spot.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => ending.abort());
  // `wasmatrix ps | head` closes the pipe early; that is no error of ours.
  process.stdout.on("error", () => process.exit());
  const program = createProgram({
    env: process.env,
    clock: systemClock,
    paint: paintFor(process.stdout.isTTY, process.env),
    errorPaint: paintFor(process.stderr.isTTY, process.env),
    errorIsTerminal: process.stderr.isTTY,
    write: (text) => void process.stdout.write(text),
    writeError: (text) => void process.stderr.write(text),
    readInput: async () => new Uint8Array(await buffer(process.stdin)),
    ended: ending.signal,
    connect,
    exit: (code) => void (process.exitCode = code),
  });
  try {
    await program.parseAsync([...argv]);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
  }
}
