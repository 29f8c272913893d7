import pino from "pino";
import type { Log } from "../../src/log.ts";
import type { EventQueue } from "./event-queue.ts";
import type { Message } from "./simulated-network.ts";

const silent = pino({ level: "silent" });

/** What happened, as one number, and as lines for whoever wants to read them. */
export interface Trace {
  readonly lines: readonly string[];
  /** Messages handed to processes. */
  readonly deliveries: number;
  publish(host: string, subject: string, data: Uint8Array): void;
  delivery(host: string, message: Message): void;
  note(text: string): void;
  /** A line that says more about what counts already. */
  explain(text: () => string): void;
  /** Where a process logs to: its lines stand among the others. */
  log(host: string): Log;
  /** 16 hex digits; the same for the same seed and the same code. */
  hash(): string;
}

/** A trace. Reply subjects hold random tokens and are left out; everything else counts, moments and sizes too. */
export function createTrace(queue: EventQueue, keeps: boolean): Trace {
  const lines: string[] = [];
  let low = 0x811c9dc5;
  let high = 0x9747b28c;
  let deliveries = 0;

  function add(kind: string, host: string, subject: string, bytes: number): void {
    const shown = subject.startsWith("_INBOX.") ? "_INBOX" : subject;
    const moment = Math.round(queue.now * 1_000);
    mix(kind);
    mix(host);
    mix(shown);
    low = Math.imul(low ^ bytes, 0x01000193);
    high = Math.imul(high ^ (moment | 0), 0x01000193);
    if (keeps) lines.push(`${(queue.now / 1_000).toFixed(4)} ${kind} ${host} ${shown} ${bytes}`);
  }

  /** FNV-1a, twice; see src/lattice/digest.ts. */
  function mix(text: string): void {
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index);
      low = Math.imul(low ^ code, 0x01000193);
      high = Math.imul(high ^ code, 0x01000193);
    }
  }

  return {
    lines,
    get deliveries() {
      return deliveries;
    },
    publish: (host, subject, data) => add(">", host, subject, data.length),
    delivery(host, { subject, data }) {
      deliveries += 1;
      add("<", host, subject, data.length);
    },
    explain(text) {
      if (keeps) lines.push(`${(queue.now / 1_000).toFixed(4)}   ${text()}`);
    },
    log(host) {
      const write = (line: string) =>
        lines.push(`${(queue.now / 1_000).toFixed(4)}   ${host} logs ${line.trim()}`);
      return keeps ? pino({ base: null, timestamp: false }, { write }) : silent;
    },
    note: (text) => add("*", text, "", 0),
    hash: () => [low, high].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join(""),
  };
}
