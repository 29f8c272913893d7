import type { Msg, MsgHdrs } from "nats";
import { Match } from "nats";
import type { BusMessage } from "./bus.ts";
import { isInbox } from "./names.ts";

/** How a message answers. */
export interface Answering {
  readonly answer: (
    replyTo: string,
    data: Uint8Array,
    headers: Readonly<Record<string, string>> | undefined,
  ) => void;
  /** An answer was asked for at a subject that is no inbox. */
  readonly refuse: (replyTo: string) => void;
}

/**
 * One received message. A class for the sake of the hot path: two fields, everything decoded when it is asked
 * for, and no closure per message.
 */
export class NatsMessage implements BusMessage {
  readonly #raw: Msg;
  readonly #answering: Answering;
  #answered = false;

  constructor(raw: Msg, answering: Answering) {
    this.#raw = raw;
    this.#answering = answering;
  }

  get subject(): string {
    return this.#raw.subject;
  }

  get data(): Uint8Array {
    return this.#raw.data;
  }

  get replyTo(): string | undefined {
    const reply = this.#raw.reply;
    return reply !== undefined && isInbox(reply) ? reply : undefined;
  }

  header(name: string): string | undefined {
    const headers = decodeHeaders(this.#raw);
    if (headers === undefined) return undefined;
    if (name === "Status" && headers.code > 0) return String(headers.code);
    return headers.values(name, Match.IgnoreCase)[0];
  }

  headerNames(): string[] {
    return decodeHeaders(this.#raw)?.keys() ?? [];
  }

  respond(data: Uint8Array, headers?: Readonly<Record<string, string>>): void {
    const reply = this.#raw.reply;
    if (this.#answered || reply === undefined || reply === "") return;
    if (isInbox(reply)) this.#answering.answer(reply, data, headers);
    else this.#answering.refuse(reply);
    this.#answered = true;
  }
}

/** The client throws at malformed headers; from a peer they are a message without headers, not a bug of ours. */
function decodeHeaders(raw: Msg): MsgHdrs | undefined {
  try {
    return raw.headers;
  } catch {
    return undefined;
  }
}
