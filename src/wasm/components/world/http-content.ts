import type { ByteSource } from "../../../byte-source.ts";
import { Failure } from "../../../protocol/errors.ts";
import type { ComponentHost } from "./component-host.ts";
import type { TravellingBody } from "./http-messages.ts";

/** A body that came in a message, to be read once. */
export interface Content {
  readonly first: Uint8Array;
  /** What follows, where it did not fit the message. */
  readonly rest: ByteSource | undefined;
  /** Whoever serves the rest is told that nobody reads it any more. A second end does nothing. */
  end(reason: string): void;
}

const nothing = new Uint8Array(0);

/** The body of a message; the stream of its rest is opened when it is first read. */
export function contentOf(host: ComponentHost, { body, stream }: TravellingBody): Content {
  const first = body ?? nothing;
  if (stream === undefined) return { first, rest: undefined, end() {} };
  let source: ByteSource | undefined;
  let ended: string | undefined;

  const end = (reason: string) => {
    if (ended !== undefined) return;
    ended = reason;
    try {
      // Also where nobody ever read: its server would wait for its reader otherwise.
      source ??= host.streams.open(stream);
    } catch {
      // Not a reference: nobody serves it.
      return;
    }
    source.cancel(reason);
  };
  const rest: ByteSource = {
    async read(bytesMax) {
      if (ended !== undefined)
        throw new Failure("INVALID_REQUEST", `this body cannot be read any more: ${ended}`);
      source ??= host.streams.open(stream);
      return source.read(bytesMax);
    },
    cancel: end,
  };
  return { first, rest, end };
}
