import type { LogLine } from "../../src/protocol/calls.ts";
import type { Paint } from "./paint.ts";
import { timeOfDay } from "./quantities.ts";
import { onTerminal } from "./terminal-text.ts";

/** A line of a guest's output for a terminal: when, whose, what, and how many lines were left out before it. */
export function logLine(paint: Paint, line: LogLine): string {
  const dropped = line.dropped === undefined ? "" : paint.yellow(` (${line.dropped} lines left out before)`);
  const says = onTerminal(line.text);
  const text = line.stream === "stderr" ? paint.yellow(says) : says;
  return `${paint.dim(onTerminal(timeOfDay(line.at)))}  ${paint.bold(onTerminal(line.instanceId))}  ${text}${dropped}`;
}
