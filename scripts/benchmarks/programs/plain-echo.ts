import { connect } from "nats";
import { answerQuestions } from "../program.ts";

// The baseline of every call: a nats.js responder as its documentation shows it, and nothing else.

const [url = "", subject = ""] = process.argv.slice(2);
const connection = await connect({ servers: url });
connection.subscribe(subject, { callback: (_error, message) => void message.respond(message.data) });
await connection.flush();
answerQuestions(() => Promise.resolve());
