import { pack, unpack } from "msgpackr";
import { connect } from "nats";
import { answerQuestions } from "../program.ts";

// What somebody without guests would write: a nats.js responder that asks the same provider the same.

const [url = "", subject = "", providerSubject = "", instanceId = ""] = process.argv.slice(2);
const connection = await connect({ servers: url });
const zero = new TextEncoder().encode("0");

connection.subscribe(subject, {
  callback(_error, message) {
    const call = { instanceId, incarnation: 1, capabilityId: "store", payload: pack({ key: "count" }) };
    connection.request(providerSubject, pack(call), { timeout: 10_000 }).then(
      (answer) => message.respond((unpack(answer.data) as { value: Uint8Array | null }).value ?? zero),
      (error: unknown) => message.respond(new TextEncoder().encode(String(error))),
    );
  },
});
await connection.flush();
answerQuestions(() => Promise.resolve());
