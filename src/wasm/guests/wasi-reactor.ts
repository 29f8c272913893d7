import { guestTalkLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";
import { quote } from "../admission/invalid-module.ts";
import { answerSink, byteSource, lineSink } from "./byte-streams.ts";
import type { Guest, GuestHost } from "./guest.ts";
import { entry, exportedFunction, GuestLife, initialise, instantiate } from "./guest-life.ts";
import { canSuspend, exportedFunctionNames } from "./module-shape.ts";
import { wasiImports } from "./wasi-p1.ts";
import { worldOf } from "./wasi-world.ts";

/**
 * A WASI reactor: one instance whose exported functions without parameters are its operations. stdin is the
 * payload, stdout the answer; a result other than zero is the guest's refusal. Names that begin with an underscore
 * belong to the language's runtime.
 * Throws `GuestStillborn` when the guest ends in `_initialize`. `call` throws INVALID_REQUEST for an operation that
 * there is not, GUEST_ERROR for a refusal and PAYLOAD_TOO_LARGE for too much output.
 */
export function createWasiReactor(module: WebAssembly.Module, host: GuestHost): Guest {
  const life = new GuestLife();
  const stdin = byteSource();
  const stdout = answerSink();
  const stderr = lineSink((line) => host.log("stderr", line));
  const world = worldOf(host, [host.instanceId], { stdin, stdout, stderr });
  const exports = instantiate(module, { wasi_snapshot_preview1: wasiImports(life, world) }, life);
  const runInitialise = exportedFunction(exports, "_initialize");
  initialise(life, runInitialise === undefined ? [] : [runInitialise]);
  logGreeting(host, stdout.take());
  const operations = new Map<string, () => Uint8Array | Promise<Uint8Array>>();
  for (const name of exportedFunctionNames(module)) {
    const run = exportedFunction(exports, name);
    if (name.startsWith("_") || run === undefined || run.length > 0) continue;
    const answer = (result: unknown) => answerOf(name, result, () => stdout.take());
    operations.set(
      name,
      entry<[], unknown>(life, run, canSuspend(module), { answer, flush: () => stderr.flush() }),
    );
  }

  return {
    fuel: life.meters.fuel,
    endOf: (thrown) => life.endOf(thrown),
    dispose: () => life.memory.letGo(),
    call(operation, payload) {
      const enter = operations.get(operation);
      if (enter === undefined) throw noOperation(operation, [...operations.keys()]);
      life.begin();
      stdin.refill(payload);
      return enter();
    },
  };
}

/** What was printed before there was a call belongs to no answer. */
function logGreeting(host: GuestHost, output: Uint8Array): void {
  const lines = lineSink((line) => host.log("stdout", line));
  lines.write(output);
  lines.flush();
}

function answerOf(operation: string, result: unknown, takeOutput: () => Uint8Array): Uint8Array {
  const output = takeOutput();
  if (result === undefined || result === 0 || result === 0n) return output;
  const returned =
    typeof result === "number" || typeof result === "bigint" ? `${result}` : "something else than a number";
  throw new Failure("GUEST_ERROR", `the guest's ${quote(operation)} returned ${returned}`, {
    fix: "The guest itself refused; see its documentation and its log.",
    details: { output: Buffer.from(output).toString("utf8", 0, outputShownBytes) },
  });
}

const outputShownBytes = guestTalkLimits.errorTextBytesMax;

function noOperation(operation: string, names: readonly string[]): Failure {
  const known = names.slice(0, guestTalkLimits.operationsListedMax).map((name) => quote(name));
  const more = names.length > known.length ? `, and ${names.length - known.length} more` : "";
  return new Failure("INVALID_REQUEST", `the guest has no operation ${quote(operation)}`, {
    fix:
      names.length === 0
        ? "The guest exports no function without parameters, so that it has no operation at all."
        : `Call one of its operations: ${known.join(", ")}${more}.`,
  });
}
