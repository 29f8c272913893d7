import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { failureInAnswer } from "../../../src/bus/guest-answers.ts";
import { connectNats } from "../../../src/bus/nats-bus.ts";
import { systemClock } from "../../../src/clock.ts";
import { subjectFor } from "../../../src/protocol/addresses.ts";
import { Failure } from "../../../src/protocol/errors.ts";
import { InstanceLimits } from "../../../src/protocol/instance-spec.ts";
import { engineLauncher } from "../../../src/wasm/engine-process.ts";
import { startNatsServer } from "../../../test/support/nats-server.ts";
import { coreModules } from "./modules.ts";

/** An engine process on a server of its own, with one honest guest in it: `neighbour`. */
export interface RealEngine extends AsyncDisposable {
  readonly guests: number;
  /** Starts a guest of these bytes; gives its id, or rejects with the refusal. */
  start(bytes: Uint8Array): Promise<string>;
  /** `answered`, or the code of what came instead. */
  call(instanceId: string): Promise<string>;
  stop(instanceId: string): Promise<void>;
  /** Why the engine is gone, once it is. */
  lost(): string | undefined;
}

/** Starts both, with one cell. */
export async function startRealEngine(): Promise<RealEngine> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startNatsServer());
  const busOptions = { servers: server.url, name: "fuzz", connectTimeoutMs: 5_000 };
  const bus = await connectNats(busOptions);
  stack.defer(() => bus.close());
  const modulesDirectory = mkdtempSync(join(tmpdir(), "wasmatrix-fuzz-"));
  stack.defer(() => rmSync(modulesDirectory, { recursive: true, force: true }));
  let lost: string | undefined;
  const launch = engineLauncher({
    lattice: "fuzz",
    nodeId: "n1",
    bus: busOptions,
    cells: 1,
    modulesDirectory,
    clock: systemClock,
    log: pino({ enabled: false }),
  });
  const engine = await launch(
    () => {},
    (reason) => void (lost = reason),
  );
  stack.defer(() => engine.close());
  let guests = 0;

  const short = { memoryBytes: 20 * 65_536, fuel: 50_000, timeoutMs: 500 };
  const start = async (
    bytes: Uint8Array,
    instanceId = `guest-${guests}`,
    limits: Partial<InstanceLimits> = short,
  ) => {
    guests += 1;
    const moduleFile = join(modulesDirectory, `${guests}.wasm`);
    writeFileSync(moduleFile, bytes);
    await engine.start({
      instanceId,
      name: undefined,
      incarnation: 1,
      digest: `sha256:${guests}`,
      moduleFile,
      limits: InstanceLimits.parse(limits),
      config: {},
      reuse: true,
      capabilities: [],
    });
    return instanceId;
  };
  // With the usual limits: on a busy machine half a second may pass without a fault of its own.
  await start(coreModules[2] as Uint8Array, "neighbour", {});
  const owned = stack.move();
  return {
    get guests() {
      return guests;
    },
    start: (bytes) => start(bytes),
    async call(target) {
      try {
        const subject = subjectFor("call", { lattice: "fuzz", target, operation: "go" });
        const answer = await bus.request(subject, Buffer.from("hello"), { timeoutMs: 5_000 });
        return failureInAnswer(answer)?.code ?? "answered";
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        return error.details?.["noResponders"] === true ? "INSTANCE_NOT_FOUND" : error.code;
      }
    },
    async stop(instanceId) {
      await engine.stop(instanceId).catch(() => undefined);
    },
    lost: () => lost,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
