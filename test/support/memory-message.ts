import type { BusMessage } from "../../src/bus/bus.ts";
import { isInbox } from "../../src/bus/names.ts";
import type { Sent } from "./memory-router.ts";

/** A message as a subscriber gets it that no server carried: answered once, to an inbox, or else refused. */
export function memoryMessage(sent: Sent, answer: BusMessage["respond"], refuse: () => void): BusMessage {
  const { subject, data, replyTo, headers } = sent;
  let answered = false;
  return {
    subject,
    data,
    replyTo: replyTo !== undefined && isInbox(replyTo) ? replyTo : undefined,
    header: (name) =>
      Object.entries(headers)
        .find(([given]) => given.toLowerCase() === name.toLowerCase())?.[1]
        .trim(),
    headerNames: () => Object.keys(headers).filter((name) => name !== "Status"),
    respond(bytes, answerHeaders) {
      if (answered || replyTo === undefined) return;
      if (isInbox(replyTo)) answer(bytes, answerHeaders);
      else refuse();
      answered = true;
    },
  };
}
