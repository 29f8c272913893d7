import { keepInFlight } from "../in-flight.ts";
import { answerQuestions } from "../program.ts";
import { createBroker } from "./moleculer-broker.mjs";

const broker = createBroker(process.argv[2], "requester");
await broker.start();
await broker.waitForServices("peer");

answerQuestions(async ({ payloadBytes, ...load }) => {
  const text = "a".repeat(payloadBytes);
  return keepInFlight(async () => {
    const answer = await broker.call("peer.echo", { text });
    if (answer !== text) throw new Error("another answer than the text that was sent");
  }, load);
});
