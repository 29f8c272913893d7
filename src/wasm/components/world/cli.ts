import { guestTalkLimits } from "../../../limits.ts";
import { answerSink, answerTooLarge, lineSink, type Sink } from "../../guests/byte-streams.ts";
import type { ComponentHost } from "./component-host.ts";
import { type HeldBytes, inputStreamWithin } from "./input-stream.ts";
import { outputStreamOf, type StreamSink } from "./output-stream.ts";

/** The standard streams of one `run`. */
export interface Stdio {
  /**
   * What the guest wrote to stdout since the run began, which ends here. Throws PAYLOAD_TOO_LARGE when it wrote more
   * than an answer may have.
   */
  answer(): Uint8Array;
}

/** `wasi:cli`, and the streams behind it. */
export interface Cli {
  readonly imports: Record<string, Record<string, unknown>>;
  /** From now on stdin is `payload` and what is written to stdout is kept; otherwise the one is empty, the other logged. */
  stdio(payload: Uint8Array): Stdio;
  /** After each call: logs the lines that have no end yet. */
  settle(): void;
}

class TerminalInput {}
class TerminalOutput {}

/**
 * `wasi:cli` for the guest of this host: its environment is its configuration, it has no arguments, no directory and
 * no terminal, and what it writes is logged line by line. `exit` must throw.
 */
export function createCli(host: ComponentHost, exit: (code: number) => never): Cli {
  const stdin: HeldBytes = { rest: new Uint8Array(0) };
  const stdoutLog = lineSink((line) => host.log("stdout", line));
  const stderrLog = lineSink((line) => host.log("stderr", line));
  let answer: ReturnType<typeof answerSink> | undefined;

  const imports = {
    "wasi:cli/environment": {
      getEnvironment: () => Object.entries(host.config),
      getArguments: (): string[] => [],
      initialCwd: () => undefined,
      // The name in the first release candidates.
      getInitialCwd: () => undefined,
    },
    "wasi:cli/exit": {
      exit: (status: { readonly tag: "ok" | "err" }) => exit(status.tag === "ok" ? 0 : 1),
      exitWithCode: (code: number) => exit(code),
    },
    "wasi:cli/stdin": { getStdin: () => inputStreamWithin(host, stdin) },
    "wasi:cli/stdout": {
      getStdout: () =>
        outputStreamOf(
          host,
          streamTo(() => answer ?? stdoutLog),
        ),
    },
    "wasi:cli/stderr": {
      getStderr: () =>
        outputStreamOf(
          host,
          streamTo(() => stderrLog),
        ),
    },
    "wasi:cli/terminal-input": { TerminalInput },
    "wasi:cli/terminal-output": { TerminalOutput },
    "wasi:cli/terminal-stdin": { getTerminalStdin: () => undefined },
    "wasi:cli/terminal-stdout": { getTerminalStdout: () => undefined },
    "wasi:cli/terminal-stderr": { getTerminalStderr: () => undefined },
  };

  return {
    imports,
    stdio(payload) {
      const written = answerSink();
      stdin.rest = payload;
      answer = written;
      return {
        answer() {
          stdin.rest = new Uint8Array(0);
          answer = undefined;
          return written.take();
        },
      };
    },
    settle() {
      stdoutLog.flush();
      stderrLog.flush();
    },
  };
}

/** Writes go wherever the stream leads at that moment: runtimes open stdout once and keep it. */
function streamTo(present: () => Sink): StreamSink {
  return {
    room() {
      const room = present().room(guestTalkLimits.logWriteBytesMax);
      if (room < 0) throw answerTooLarge(guestTalkLimits.messageBytesMax);
      return room;
    },
    write: (bytes) => present().write(bytes),
    whenRoom: () => Promise.resolve(),
    // A line is logged when it ends, not when a guest flushes: many flush after every word.
    flush: () => undefined,
    close: () => {},
  };
}
