import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Bus } from "../../src/bus/bus.ts";
import { connectNats } from "../../src/bus/nats-bus.ts";
import { type AskControl, askControl } from "../../src/client/control.ts";
import { startNatsServer } from "../../test/support/nats-server.ts";
import { exampleFile, lattice } from "./guest-engine.ts";
import { type Program, startProgram } from "./program.ts";
import { untilComplete } from "./test-lattice.ts";

/** A lattice of one control plane and several nodes, each in its own process, on a server of its own. */
export interface ManyNodes extends AsyncDisposable {
  readonly bus: Bus;
  readonly control: AskControl;
  readonly nodes: ReadonlyMap<string, Program>;
  /** Uploads a built example, and gives its digest. */
  store(example: string): Promise<string>;
}

/** Starts one; resolves once the control plane knows all nodes. */
export async function startManyNodes(count: number): Promise<ManyNodes> {
  const modules = mkdtempSync(join(tmpdir(), "wasmatrix-bench-"));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(modules, { recursive: true, force: true }));
  const server = stack.use(await startNatsServer());
  const bus = await connectNats({ servers: server.url, name: "benchmark", connectTimeoutMs: 5_000 });
  stack.defer(() => bus.close());
  stack.use(await startProgram("./programs/control-plane.ts", [server.url]));
  const nodes = new Map<string, Program>();
  await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const nodeId = `node-${index}`;
      const args = [server.url, nodeId, join(modules, nodeId)];
      nodes.set(nodeId, stack.use(await startProgram("./programs/node.ts", args)));
    }),
  );
  const control = askControl(bus, lattice);
  await untilComplete(control, count);
  const started = stack.move();
  return {
    bus,
    control,
    nodes,
    async store(example) {
      const bytes = new Uint8Array(readFileSync(exampleFile(example)));
      return (await control("ctl.module.put", { bytes })).digest;
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}
