import fc from "fast-check";
import type { Bus } from "../../../../src/bus/bus.ts";
import { failureInAnswer } from "../../../../src/bus/guest-answers.ts";
import { type BusStreams, createStreams } from "../../../../src/bus/streams.ts";
import { systemClock } from "../../../../src/clock.ts";
import { subjectFor } from "../../../../src/protocol/addresses.ts";
import { startMemoryServer } from "../../../../test/support/memory-bus.ts";
import { holds, takenOrRefused, takenOrRefusedLater } from "../expect.ts";
import { fuzzTarget } from "../target.ts";
import { anyText } from "../words.ts";

interface Reads {
  readonly ref: string;
  readonly wanted: readonly string[];
}

const number = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 70_000 }).map(String) },
  fc.constantFrom("0", "-1", "1e9", "0x10", " 7 ", "9007199254740993", "Infinity", "NaN", "", "1.5", "1_0"),
  anyText,
);
let parts: { readonly streams: BusStreams; readonly reader: Bus } | undefined;

/** References and reads of bodies: no reading party gets more than it may, and each read is answered. */
export const target = fuzzTarget<Reads>({
  name: "streams",
  weight: 0.2,
  arbitrary: fc.record({ ref: anyText, wanted: fc.array(number, { maxLength: 4 }) }),
  async check({ ref, wanted }) {
    parts ??= connected();
    const { streams, reader } = parts;
    const opened = takenOrRefused(["INVALID_REQUEST"], () => streams.open(ref));
    opened?.cancel("enough");
    const body = new Uint8Array(100_000).fill(7);
    let left = body;
    const own = streams.serve({
      read: async (bytesMax) => {
        if (left.length === 0) return undefined;
        const piece = left.subarray(0, bytesMax);
        left = left.subarray(piece.length);
        return piece;
      },
      cancel: () => void (left = body.subarray(0, 0)),
    });
    const [holder = "", stream = ""] = own.split(".");
    let answered = 0;
    for (const text of wanted) {
      const subject = subjectFor("stream", { lattice: "default", holder, stream, verb: "read" });
      // A stream that has ended has nobody who listens.
      const answer = await takenOrRefusedLater(["COMMUNICATION_FAILURE"], () =>
        reader.request(subject, Buffer.from(text), { timeoutMs: 2_000 }),
      );
      if (answer === undefined) break;
      const failure = failureInAnswer(answer);
      if (failure !== undefined)
        holds(["INVALID_REQUEST", "COMMUNICATION_FAILURE"].includes(failure.code), failure.code);
      else {
        answered += 1;
        holds(answer.data.length <= Number(text), `asked for ${text}, got ${answer.data.length} bytes`);
      }
    }
    reader.publish(
      subjectFor("stream", { lattice: "default", holder, stream, verb: "cancel" }),
      new Uint8Array(),
    );
    await reader.flush?.();
    return answered > 0;
  },
});

function connected() {
  const server = startMemoryServer({ clock: systemClock });
  const bus = server.connect();
  return {
    streams: createStreams({ lattice: "default", holder: "n1", bus, clock: systemClock }),
    reader: server.connect(),
  };
}
