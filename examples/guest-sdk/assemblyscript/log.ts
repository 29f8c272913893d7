import { __console_log } from "./wapc";

/** Writes one line to the instance's log: `wasmatrix logs <name>`. */
export function log(line: string): void {
  const utf8 = String.UTF8.encode(line);
  __console_log(changetype<usize>(utf8), utf8.byteLength);
}
