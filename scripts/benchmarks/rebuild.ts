import { connectNats } from "../../src/bus/nats-bus.ts";
import { askControl } from "../../src/client/control.ts";
import { filterFor } from "../../src/protocol/addresses.ts";
import { startNatsServer } from "../../test/support/nats-server.ts";
import { type Figure, median, short } from "./figure.ts";
import { lattice } from "./guest-engine.ts";
import { startProgram } from "./program.ts";
import { untilComplete } from "./test-lattice.ts";

/** A new control plane, from its question to all nodes until it answers that its view is complete, with every instance. */
export async function rebuild(name: string, nodes: number, instancesPerNode: number): Promise<Figure> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startNatsServer());
  const bus = await connectNats({ servers: server.url, name: "benchmark", connectTimeoutMs: 5_000 });
  stack.defer(() => bus.close());
  using _nodes = await startProgram("./programs/speaking-nodes.ts", [
    server.url,
    String(nodes),
    String(instancesPerNode),
  ]);
  let askedAt = 0;
  bus.subscribe(filterFor("nodes.replay", { lattice }), () => (askedAt ||= performance.now()));
  const control = askControl(bus, lattice);
  const seconds: number[] = [];
  const withStart: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    askedAt = 0;
    const began = performance.now();
    using controlPlane = await startProgram("./programs/control-plane.ts", [server.url]);
    const instances = await untilComplete(control, nodes);
    const now = performance.now();
    if (instances !== nodes * instancesPerNode) throw new Error(`complete, but with ${instances} instances`);
    seconds.push((now - askedAt) / 1_000);
    withStart.push((now - began) / 1_000);
    await controlPlane.kill();
  }
  const note = `median of ${seconds.length} after kill -9; with the start of the process ${short(median(withStart))} s; the nodes are real speakers in one process`;
  return { name, value: median(seconds), unit: "s", note };
}
