import { connectNats } from "../../src/bus/nats-bus.ts";

// A program of its own: loses its server in the way that it is told, closes its bus, and has nothing left to do.
const [servers = "", serverPid = "", signal = "", unsentMiB = "0"] = process.argv.slice(2);
const bus = await connectNats({ servers, name: "close-after-loss", connectTimeoutMs: 5_000 });
bus.subscribe("topic", () => {});
await bus.flush();
process.kill(Number(serverPid), signal);
for (let sent = 0; sent < Number(unsentMiB); sent += 1) bus.publish("topic", new Uint8Array(1_000_000));
const started = performance.now();
await bus.close();
process.stdout.write(String(Math.round(performance.now() - started)));
