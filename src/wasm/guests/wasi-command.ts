import { guestLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";
import { answerSink, byteSource, lineSink } from "./byte-streams.ts";
import { GuestExit } from "./guest.ts";
import type { Gauge, Guest, GuestHost } from "./guest.ts";
import { guestEnd } from "./guest-faults.ts";
import type { Meters } from "./guest-faults.ts";
import { entry, exportedFunction, GuestLife, instantiate } from "./guest-life.ts";
import { canSuspend } from "./module-shape.ts";
import { wasiImports } from "./wasi-p1.ts";
import { worldOf } from "./wasi-world.ts";

/**
 * A WASI command: every call is a new instance of the module whose arguments are the instance id and the operation,
 * whose stdin is the payload and whose stdout is the answer. `call` throws `GuestExit` for an exit code other than
 * zero, PAYLOAD_TOO_LARGE for too much output, and INVALID_MODULE for a module without `_start`.
 */
export function createWasiCommand(module: WebAssembly.Module, host: GuestHost): Guest {
  const isSuspendable = canSuspend(module);
  const isMetered = WebAssembly.Module.exports(module).some(
    (exported) => exported.name === "__wasmatrix_fuel",
  );
  // Each instance has a gauge of its own, so that this one carries its value there and back.
  const allowance: Gauge | undefined = isMetered ? { value: guestLimits.fuelDefault } : undefined;
  let meters: Meters = { fuel: allowance, grown: undefined };
  let isRunning = false;

  function call(operation: string, payload: Uint8Array): Uint8Array | Promise<Uint8Array> {
    const life = new GuestLife();
    const stdin = byteSource();
    const stdout = answerSink();
    const stderr = lineSink((line) => host.log("stderr", line));
    stdin.refill(payload);
    meters = { fuel: allowance, grown: undefined };
    const world = worldOf(host, [host.instanceId, operation], { stdin, stdout, stderr });
    const exports = instantiate(module, { wasi_snapshot_preview1: wasiImports(life, world) }, life);
    const start = exportedFunction(exports, "_start");
    if (start === undefined) throw notCommand();
    const { fuel, grown } = life.meters;
    meters = { fuel: fuel ?? allowance, grown };
    if (fuel !== undefined && allowance !== undefined) fuel.value = allowance.value;
    const flush = () => {
      stderr.flush();
      if (fuel !== undefined && allowance !== undefined) allowance.value = fuel.value;
      // After its one call; what it has answered is in `stdout`.
      life.memory.letGo();
    };
    const enter = entry<[], unknown>(life, start, isSuspendable, { answer: () => stdout.take(), flush });
    return unlessExited(enter, () => stdout.take());
  }

  return {
    fuel: allowance,
    endOf: (thrown) => guestEnd(thrown, meters),
    call(operation, payload) {
      if (isRunning) throw new Error("a guest was called while a call was in progress");
      isRunning = true;
      const done = () => {
        isRunning = false;
      };
      try {
        const answer = call(operation, payload);
        if (answer instanceof Promise) return answer.finally(done);
        done();
        return answer;
      } catch (thrown) {
        done();
        throw thrown;
      }
    },
  };
}

/** `exit(0)` is how many programs return from `main`. */
function unlessExited(
  enter: () => Uint8Array | Promise<Uint8Array>,
  answer: () => Uint8Array,
): Uint8Array | Promise<Uint8Array> {
  const exited = (thrown: unknown): Uint8Array => {
    if (thrown instanceof GuestExit && thrown.exitCode === 0) return answer();
    throw thrown;
  };
  try {
    const answered = enter();
    return answered instanceof Promise ? answered.catch(exited) : answered;
  } catch (thrown) {
    return exited(thrown);
  }
}

function notCommand(): Failure {
  return new Failure("INVALID_MODULE", "the module does not export the function _start", {
    fix: "Build the guest as a WASI command, which has a main function.",
  });
}
