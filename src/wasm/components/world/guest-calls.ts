import { encode } from "../../../protocol/codec.ts";
import { Failure } from "../../../protocol/errors.ts";
import { quote } from "../../admission/invalid-module.ts";
import { GuestFault } from "../../guests/guest-faults.ts";
import type { GuestHost } from "../../guests/guest.ts";
import { decodeValue } from "../value-codec.ts";
import { fromMessage, toMessage } from "../values.ts";
import { camelCase } from "../wit-names.ts";
import type { WitFunction } from "../wit-type.ts";
import { endGuest } from "./component-host.ts";
import { expectedFailure, failureText } from "./io-error.ts";

/** Functions of interfaces with their types: by the interface without its version, then by WIT name. */
export type FunctionTypes = ReadonlyMap<string, ReadonlyMap<string, WitFunction>>;

/**
 * Interfaces of other components: each function calls the guest that a `call` grant links to its interface, with the
 * operation `<interface>_<function>`, and suspends the caller.
 *
 * The callee's own error is that of the function. Any other failure is one too where the function's error is a text;
 * where it is not, or there is none, the caller ends with `GuestFault`: it was promised an answer.
 */
export function guestCallInterfaces(host: GuestHost, interfaces: FunctionTypes) {
  const imports: Record<string, Record<string, unknown>> = {};
  for (const [interfaceName, functions] of interfaces) {
    const entries: Record<string, unknown> = (imports[interfaceName] = {});
    for (const [name, type] of functions) {
      entries[camelCase(name)] = async (...args: readonly unknown[]) => {
        const operation = `${interfaceName.slice(interfaceName.lastIndexOf("/") + 1)}_${name}`;
        try {
          return await call(host, { interfaceName, operation, type }, args);
        } catch (thrown) {
          const error = errorOf(type, expectedFailure(thrown), operation);
          throw error instanceof Error ? await endGuest(host, error) : error;
        }
      };
    }
  }
  return imports;
}

interface Callee {
  readonly interfaceName: string;
  readonly operation: string;
  readonly type: WitFunction;
}

async function call(
  host: GuestHost,
  { interfaceName, operation, type: { parameters, result } }: Callee,
  args: readonly unknown[],
): Promise<unknown> {
  const target = host.linkedTarget(interfaceName);
  if (target === undefined) throw notLinked(interfaceName);
  const message = parameters.map(({ type }, index) => toMessage(type, args[index]));
  const payload = encode(message, "msgpack");
  const answer = await host.suspend(() => host.beginGuestCall(target, operation, payload));
  const type = result?.kind === "result" ? result.ok : result;
  const value = type === undefined ? undefined : fromMessage(type, decodeValue(answer, "msgpack"), operation);
  // Tagged, for generated code would take an answer that is itself a result for that of the call.
  return result?.kind === "result" ? { tag: "ok", val: value } : value;
}

/** What to throw for a failure so that the caller gets it as the error of the function, if that can be. */
function errorOf({ result }: WitFunction, failure: Failure, operation: string): unknown {
  const type = result?.kind === "result" ? result.err : undefined;
  if (
    result?.kind === "result" &&
    failure.code === "GUEST_ERROR" &&
    failure.details?.["error"] !== undefined
  ) {
    try {
      return type === undefined ? undefined : fromMessage(type, failure.details["error"], operation);
    } catch (unfit) {
      return errorOfText(type, expectedFailure(unfit), operation);
    }
  }
  return errorOfText(type, failure, operation);
}

function errorOfText(type: WitFunction["result"], failure: Failure, operation: string): unknown {
  const text = failureText(failure);
  if (type?.kind === "string") return text;
  return new GuestFault(`the call ${quote(operation)} of another guest failed: ${text}`, { cause: failure });
}

function notLinked(interfaceName: string): Failure {
  const last = interfaceName.slice(interfaceName.lastIndexOf("/") + 1);
  return new Failure("PERMISSION_DENIED", `no grant links the interface ${quote(interfaceName)} to a guest`, {
    fix: `Grant a call of it: --grant ${last}=call:<name of a guest>`,
    details: { permission: "call:<name>", capabilityId: last, providerType: "call" },
  });
}
