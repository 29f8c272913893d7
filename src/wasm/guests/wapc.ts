import { Failure } from "../../protocol/errors.ts";
import { assemblyScriptImports } from "./assemblyscript.ts";
import { byteSource, lineSink } from "./byte-streams.ts";
import { GuestExit } from "./guest.ts";
import type { Guest, GuestHost } from "./guest.ts";
import { entry, exportedFunction, GuestLife, initialise, instantiate } from "./guest-life.ts";
import { canSuspend, importsFrom } from "./module-shape.ts";
import { emptyExchange, wapcImports } from "./wapc-imports.ts";
import type { Exchange } from "./wapc-imports.ts";
import { wasiImports } from "./wasi-p1.ts";
import { worldOf } from "./wasi-world.ts";

/**
 * An instance of a waPC module (https://wapc.io/docs/spec/). A module that imports nothing that suspends is entered
 * directly and answers at once; the others are entered through JSPI and answer with a promise. Its stdout and
 * stderr, where it has them, are logged.
 * Throws `GuestStillborn` when the guest ends while it is started, and INVALID_MODULE for a module of another kind.
 */
export function createWapcGuest(module: WebAssembly.Module, host: GuestHost): Guest {
  const life = new GuestLife();
  const exchange = emptyExchange();
  const stdout = lineSink((line) => host.log("stdout", line));
  const stderr = lineSink((line) => host.log("stderr", line));
  const imports: WebAssembly.Imports = {
    wapc: wapcImports(life, host, exchange),
    env: assemblyScriptImports(life, host),
  };
  // Most have none, and 46 functions are a third of what an instance costs.
  if (importsFrom(module, "wasi_snapshot_preview1")) {
    const world = worldOf(host, [host.instanceId], { stdin: byteSource(), stdout, stderr });
    imports["wasi_snapshot_preview1"] = wasiImports(life, world);
  }
  const exports = instantiate(module, imports, life);
  initialise(life, startSteps(exports));
  const guestCall = exportedFunction(exports, "__guest_call");
  if (guestCall === undefined) throw notWapc();
  const enter = entry<[number, number], unknown>(life, guestCall, canSuspend(module), {
    answer: (accepted) => answerOf(exchange, accepted),
    flush() {
      stdout.flush();
      stderr.flush();
    },
  });
  let latest = "";

  return {
    fuel: life.meters.fuel,
    endOf: (thrown) => life.endOf(thrown),
    dispose: () => life.memory.letGo(),
    call(operation, payload) {
      life.begin();
      // An instance is mostly called with the same operation over and over.
      if (operation !== latest) {
        latest = operation;
        exchange.operation = Buffer.from(operation);
      }
      exchange.payload = payload;
      exchange.isFetched = false;
      exchange.isAnswered = false;
      return enter(exchange.operation.length, payload.length);
    },
  };
}

const nothing = new Uint8Array(0);

/** Takes the answer out of the exchange, so that a large one does not live on in an idle instance. */
function answerOf(exchange: Exchange, accepted: unknown): Uint8Array {
  const { response, error, refusal } = exchange;
  exchange.payload = nothing;
  exchange.response = nothing;
  exchange.hostResponse = nothing;
  exchange.hostError = nothing;
  exchange.error = "";
  exchange.refusal = undefined;
  if (accepted === 0) {
    throw new Failure("GUEST_ERROR", error === "" ? "the guest refused without saying why" : error, {
      fix: "The guest itself refused; see its documentation and its log.",
    });
  }
  if (refusal !== undefined) throw refusal;
  return response;
}

/** TinyGo starts its runtime in `_start` or `_initialize`; `wapc_init` is where other languages register. */
function startSteps(exports: WebAssembly.Instance["exports"]): (() => void)[] {
  return ["_start", "_initialize", "wapc_init"]
    .map((name) => exportedFunction(exports, name))
    .filter((run) => run !== undefined)
    .map((run) => () => {
      try {
        run();
      } catch (thrown) {
        // The end of `main`, which such a guest outlives.
        if (!(thrown instanceof GuestExit && thrown.exitCode === 0)) throw thrown;
      }
    });
}

function notWapc(): Failure {
  return new Failure("INVALID_MODULE", "the module does not export the function __guest_call", {
    fix: "Build the guest with a waPC SDK.",
  });
}
