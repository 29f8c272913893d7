import { connect } from "nats";
import { keepInFlight } from "../in-flight.ts";
import { answerQuestions } from "../program.ts";
import type { RequestRound } from "./our-requester.ts";

// The same rounds with the request of nats.js, in its defaults.

const [url = ""] = process.argv.slice(2);
const connection = await connect({ servers: url });

answerQuestions(async ({ subjects, payloadBytes, answerBytes, ...load }: RequestRound) => {
  const payload = new Uint8Array(payloadBytes).fill(0x61);
  return keepInFlight(async (lane) => {
    const subject = subjects[lane % subjects.length] ?? "";
    const answer = await connection.request(subject, payload, { timeout: 10_000 });
    if (answer.data.length !== answerBytes) throw new Error(`${subject}: ${answer.string()}`);
  }, load);
});
