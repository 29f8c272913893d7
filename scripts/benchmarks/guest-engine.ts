import { fileURLToPath } from "node:url";
import { systemClock } from "../../src/clock.ts";
import { createLog } from "../../src/log.ts";
import { type Assignment, InstanceLimits } from "../../src/protocol/instance-spec.ts";
import { engineLauncher } from "../../src/wasm/engine-process.ts";

/** The lattice of every benchmark. */
export const lattice = "bench";

/** Instances of one example in an engine of one cell. */
export interface GuestEngine extends AsyncDisposable {
  readonly pid: number;
  readonly instanceIds: readonly string[];
}

/** Where a built example is. */
export function exampleFile(example: string): string {
  return fileURLToPath(new URL(`../../build/examples/${example}.wasm`, import.meta.url));
}

/** Starts an engine as a node does, and so many instances in it; each is subscribed, none has been called yet. */
export async function startGuests(
  url: string,
  example: string,
  count: number,
  capabilities: readonly Assignment[] = [],
  { nodeId, ...credentials }: { nodeId: string; credsFile?: string } = { nodeId: "node" },
): Promise<GuestEngine> {
  const moduleFile = exampleFile(example);
  const launch = engineLauncher({
    lattice,
    nodeId,
    bus: { servers: url, name: "benchmark-node", connectTimeoutMs: 5_000, ...credentials },
    cells: 1,
    modulesDirectory: fileURLToPath(new URL("../../build/examples", import.meta.url)),
    clock: systemClock,
    log: createLog({ component: "node", lattice }, { level: "error", pretty: false }),
  });
  const engine = await launch(
    () => undefined,
    () => undefined,
  );
  const limits = InstanceLimits.parse({});
  const instanceIds = Array.from({ length: count }, (_, index) => `guest${index}`);
  await engine.admit(example, moduleFile, limits);
  await Promise.all(
    instanceIds.map((instanceId) =>
      engine.start({
        instanceId,
        name: undefined,
        incarnation: 1,
        digest: example,
        moduleFile,
        limits,
        config: {},
        reuse: true,
        capabilities,
      }),
    ),
  );
  return { pid: engine.pid, instanceIds, [Symbol.asyncDispose]: () => engine.close() };
}
