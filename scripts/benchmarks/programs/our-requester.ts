import { connectNats } from "../../../src/bus/nats-bus.ts";
import { keepInFlight, type Load } from "../in-flight.ts";
import { answerQuestions } from "../program.ts";

/** One round of requests; lanes take the subjects in turn. */
export interface RequestRound extends Load {
  readonly subjects: readonly string[];
  readonly payloadBytes: number;
  /** How long each answer must be: a failure would be longer or shorter, and far cheaper than what is measured. */
  readonly answerBytes: number;
}

const [url = "", credsFile] = process.argv.slice(2);
const credentials = credsFile === undefined ? {} : { credsFile };
const bus = await connectNats({
  servers: url,
  name: "benchmark",
  connectTimeoutMs: 5_000,
  ...credentials,
});

answerQuestions(async ({ subjects, payloadBytes, answerBytes, ...load }: RequestRound) => {
  const payload = new Uint8Array(payloadBytes).fill(0x61);
  return keepInFlight(async (lane) => {
    const subject = subjects[lane % subjects.length] ?? "";
    const answer = await bus.request(subject, payload, { timeoutMs: 10_000 });
    if (answer.data.length !== answerBytes)
      throw new Error(`${subject}: ${new TextDecoder().decode(answer.data)}`);
  }, load);
});
