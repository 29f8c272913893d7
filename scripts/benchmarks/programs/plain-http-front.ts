import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { connect } from "nats";
import { answerQuestions } from "../program.ts";

// What somebody without guests would write: node:http that asks a nats.js responder and answers what it is told.

const [url = "", subject = ""] = process.argv.slice(2);
const connection = await connect({ servers: url });
const payload = new TextEncoder().encode("Hello, this has thirty-two bytes");

const server = createServer((_request, response) => {
  connection.request(subject, payload, { timeout: 10_000 }).then(
    (answer) => {
      response.writeHead(200, { "content-type": "text/plain", "content-length": answer.data.length });
      response.end(answer.data);
    },
    (error: unknown) => {
      response.writeHead(502);
      response.end(String(error));
    },
  );
});
await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
answerQuestions(() => Promise.resolve((server.address() as AddressInfo).port));
