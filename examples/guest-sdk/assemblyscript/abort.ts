import { log } from "./log";

/**
 * Where a thrown error, a failed assertion and an index out of range end: the reason goes to the log, then the guest
 * traps. Compile with `--use abort=<path of this file>/abort`; without it a guest imports `env.abort`, which no
 * waPC host has.
 */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const reason = message === null ? "aborted" : message;
  const where = file === null ? "unknown" : file;
  log(reason + " (" + where + ":" + line.toString() + ":" + column.toString() + ")");
  unreachable();
}
