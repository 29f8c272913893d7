import { Failure } from "../../protocol/errors.ts";
import { guestTalkLimits } from "../../limits.ts";
import { quote } from "../admission/invalid-module.ts";
import { bringToLife } from "../guests/guest-life.ts";
import { type Guest, GuestExit, type GuestHost } from "../guests/guest.ts";
import type { ComponentCode } from "./admit-component.ts";
import { ComponentLife } from "./component-life.ts";
import { type ComponentExports, instantiateComponent } from "./load-component.ts";
import type { Operation } from "./operations.ts";
import { decodeArguments, encodeValue } from "./value-codec.ts";
import { argumentsOf, toMessage } from "./values.ts";
import { type ComponentWorld, createWorld } from "./world/component-world.ts";
import { unversioned } from "./wit-type.ts";
import { camelCase } from "./wit-names.ts";

type Call = (payload: Uint8Array) => Promise<Uint8Array>;
type ExportedFunction = (...args: readonly unknown[]) => Promise<unknown>;

/**
 * An instance of a WASI 0.2 component. Its operations are what `operationsOf` says; see there and value-codec.ts for
 * what payloads and answers are. Throws `GuestStillborn` when the guest ends while it is started. `call` rejects with
 * INVALID_REQUEST for an operation that there is not and for arguments that do not fit, and GUEST_ERROR with the
 * guest's own error in `details.error`.
 */
export function createComponentGuest(code: ComponentCode, host: GuestHost): Guest {
  const life = new ComponentLife();
  const world = createWorld(hostOf(host, life), {
    exit(exitCode) {
      throw life.kill(new GuestExit(exitCode));
    },
    pay: (bytes) => life.payBytes(bytes),
    guestInterfaces: code.guestInterfaces,
    hostInterfaces: code.hostInterfaces,
  });
  const exports = bringToLife(
    { end: (thrown) => life.kill(thrown), endOf: (thrown) => life.endOf(thrown) },
    () => instantiateComponent(code, world.imports, life),
  );
  const calls = new Map<string, Call>();
  const givenUp = () => new Error("the instance was given up");

  const callOf = (name: string): Call => {
    const operation = code.operations.get(name);
    if (operation === undefined) throw noOperation(name, [...code.operations.keys()]);
    const run = exportOf(exports, operation);
    if (typeof run !== "function") throw noOperation(name, []);
    return callers[operation.kind](world, run as ExportedFunction, operation, name);
  };

  return {
    fuel: life.fuel,
    endOf: (thrown) => life.endOf(thrown),
    dispose() {
      world.dispose();
      // One that waits ends when its host wakes it: only then it is its turn, and whoever runs is known.
      if (life.isWaiting) life.killWhenWoken(givenUp());
      else life.kill(givenUp());
      life.letGo();
    },
    async call(name, payload) {
      let call = calls.get(name);
      if (call === undefined) calls.set(name, (call = callOf(name)));
      life.begin();
      try {
        const answer = await call(payload);
        life.finish();
        return answer;
      } catch (thrown) {
        if (!(thrown instanceof Failure)) throw life.kill(thrown);
        life.finish();
        throw thrown;
      } finally {
        world.settle();
      }
    },
  };
}

/** Ends the guest when a wait of it ends otherwise than a host function can tell the guest. */
function hostOf(host: GuestHost, life: ComponentLife): GuestHost {
  const woken = async <Result>(wait: Promise<Result>): Promise<Result> => {
    try {
      const result = await wait;
      life.woken();
      return result;
    } catch (error) {
      // Generated code can lose what a function without a `result` rejects with, and wait for ever.
      throw error instanceof Failure ? error : life.kill(error);
    }
  };
  const waits: Pick<GuestHost, "suspend" | "callCapability" | "sleep"> = {
    suspend: (work) => woken(host.suspend(work)),
    callCapability: (...call) => woken(host.callCapability(...call)),
    sleep: (ms) => woken(host.sleep(ms)),
  };
  // The prototype and not a copy: a host's properties may be getters.
  return Object.create(host, Object.getOwnPropertyDescriptors(waits)) as GuestHost;
}

const callers: Record<
  Operation["kind"],
  (world: ComponentWorld, run: ExportedFunction, operation: Operation, name: string) => Call
> = {
  function:
    (_world, run, { type }, name) =>
    async (payload) => {
      const { value, form } = decodeArguments(payload);
      const args = argumentsOf(type, value, name);
      const { result } = type;
      if (result?.kind !== "result") {
        const answer = await run(...args);
        return encodeValue(result === undefined ? null : toMessage(result, answer), form);
      }
      try {
        const answer = await run(...args);
        return encodeValue(result.ok === undefined ? null : toMessage(result.ok, answer), form);
      } catch (thrown) {
        throw isOwnError(thrown)
          ? refusal(name, result.err === undefined ? null : toMessage(result.err, thrown))
          : thrown;
      }
    },
  http: (world, run) => (payload) =>
    world.http.incoming(payload, async (request, outparam) => void (await run(request, outparam))),
  message: (world, run, _operation, name) => async (payload) => {
    try {
      await run(world.messageOf(payload));
      return nothing;
    } catch (thrown) {
      throw isOwnError(thrown) ? refusal(name, thrown) : thrown;
    }
  },
  command: (world, run) => async (payload) => {
    const stdio = world.stdio(payload);
    try {
      await run();
    } catch (thrown) {
      if (isOwnError(thrown)) throw new GuestExit(1);
      // `exit(0)` is how many programs return from `main`.
      if (!(thrown instanceof GuestExit && thrown.exitCode === 0)) throw thrown;
    }
    return stdio.answer();
  },
};

const nothing = new Uint8Array(0);

/** Generated code throws the error of a `result` as it is, and everything else as an error of JavaScript. */
function isOwnError(thrown: unknown): boolean {
  return !(thrown instanceof Error || thrown instanceof WebAssembly.Exception);
}

function refusal(operation: string, error: unknown): Failure {
  const text = typeof error === "string" ? error : (JSON.stringify(error) ?? "nothing");
  const shown = text.slice(0, guestTalkLimits.errorTextBytesMax);
  return new Failure("GUEST_ERROR", `${operation} refused: ${shown}`, {
    fix: "The guest itself refused; see its documentation and its log.",
    details: { error },
  });
}

function exportOf(exports: ComponentExports, operation: Operation): unknown {
  const from =
    operation.interface === undefined
      ? exports
      : ((exports[operation.interface] ?? exports[unversioned(operation.interface)]) as ComponentExports);
  return from[camelCase(operation.functionName)];
}

function noOperation(operation: string, names: readonly string[]): Failure {
  const known = names.slice(0, guestTalkLimits.operationsListedMax).map((name) => quote(name));
  const more = names.length > known.length ? `, and ${names.length - known.length} more` : "";
  return new Failure("INVALID_REQUEST", `the guest has no operation ${quote(operation)}`, {
    fix: `Call one of its operations: ${known.join(", ")}${more}.`,
  });
}
