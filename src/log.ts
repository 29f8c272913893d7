import pino, { type Logger } from "pino";

/** A structured log; one JSON object a line, or readable text on a terminal. */
export type Log = Logger;

/** What every line of a log carries. */
export interface LogIdentity {
  component: "control-plane" | "node" | "engine" | "cell" | "provider" | "up";
  lattice: string;
  node?: string;
}

/** A log on stderr, so that stdout stays free for what a command answers. */
export function createLog(identity: LogIdentity, options: { level: string; pretty: boolean }): Log {
  const settings = {
    level: options.level,
    base: identity,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  if (!options.pretty) return pino(settings, pino.destination({ dest: 2, sync: true }));
  const pretty = { target: "pino-pretty", options: { destination: 2, ignore: "pid,hostname" } };
  return pino({ level: options.level, base: identity, transport: pretty });
}
