import { createProgram } from "../../cli/program.ts";
import { paintFor } from "../../cli/render/paint.ts";
import { connect } from "../../src/client/client.ts";
import { systemClock } from "../../src/clock.ts";

/** What a command has said, and how it ended. */
export interface Said {
  readonly code: number;
  readonly out: string;
  readonly errors: string;
}

/** Runs a command of the command line in this process, on real servers, with nothing else in its environment. */
export async function commandLine(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Said> {
  const out: string[] = [];
  const errors: string[] = [];
  let code = 0;
  const plain = paintFor(false, {});
  const program = createProgram({
    env,
    clock: systemClock,
    paint: plain,
    errorPaint: plain,
    write: (text) => void out.push(typeof text === "string" ? text : Buffer.from(text).toString()),
    writeError: (text) => void errors.push(text),
    readInput: async () => new Uint8Array(),
    ended: new AbortController().signal,
    connect,
    exit: (given) => void (code = given),
  });
  await program.parseAsync(["node", "wasmatrix", ...args]).catch(() => undefined);
  return { code, out: out.join(""), errors: errors.join("") };
}
