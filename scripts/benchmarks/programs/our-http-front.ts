import { connectNats } from "../../../src/bus/nats-bus.ts";
import { createStreams } from "../../../src/bus/streams.ts";
import { createHttpServer } from "../../../src/capabilities/http-server/http-server.ts";
import { systemClock } from "../../../src/clock.ts";
import { answerQuestions } from "../program.ts";

// The http-server provider as a process of its own has it.

const [url = "", lattice = "", target = ""] = process.argv.slice(2);
const bus = await connectNats({ servers: url, name: "benchmark-http", connectTimeoutMs: 5_000 });
const server = await createHttpServer({
  lattice,
  bus,
  clock: systemClock,
  streams: createStreams({ lattice, holder: "http-server", bus, clock: systemClock }),
  host: "127.0.0.1",
  port: 0,
  routes: [{ path: "/", target }],
});
answerQuestions(() => Promise.resolve(server.address.port));
