import type { ByteSource, ByteStreams } from "../../src/byte-source.ts";
import type { Capability } from "../../src/capabilities/capability.ts";
import { systemClock } from "../../src/clock.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { admitComponent, type ComponentCode } from "../../src/wasm/components/admit-component.ts";
import { createComponentGuest } from "../../src/wasm/components/component-guest.ts";
import { type ComponentHost, componentHost } from "../../src/wasm/components/world/component-host.ts";
import type { Guest, GuestHost } from "../../src/wasm/guests/guest.ts";
import { capabilityScope } from "./capability-scope.ts";
import { buildComponent } from "./component-guests.ts";
import { guestHost } from "./guest-host.ts";

/** What stands behind a provider type: a capability, or a function from operation and request to the answer. */
export type Provided = Capability | ((operation: string, request: Record<string, unknown>) => unknown);

/** A host with a grant of each type that it provides, called as the type; every other one is refused. */
export function providedHost(
  providers: Readonly<Record<string, Provided>>,
  parts: Partial<GuestHost> = {},
): ReturnType<typeof guestHost> {
  const ask: GuestHost["beginCapability"] = async (capabilityId, providerType, operation, payload) => {
    const provider = providers[providerType];
    if (provider === undefined || capabilityId !== providerType) throw denied(providerType);
    if (typeof provider !== "function") return provider.call(capabilityScope(), operation, payload);
    const request = decode(payload).value as Record<string, unknown>;
    return encode((await provider(operation, request)) ?? {}, "msgpack");
  };
  return guestHost({
    beginCapability: ask,
    callCapability: ask,
    capabilityFor(providerType) {
      if (providerType in providers) return providerType;
      throw denied(providerType);
    },
    ...parts,
  });
}

/** The same for the interfaces of one life, without a component. */
export function hostOfLife(
  providers: Readonly<Record<string, Provided>> = {},
  parts: Partial<GuestHost> = {},
): ComponentHost & { readonly lines: readonly string[] } {
  return componentHost(providedHost(providers, parts)) as ComponentHost & {
    readonly lines: readonly string[];
  };
}

/** A component out of JavaScript, ready to run. */
export async function admitted(source: string, wit: string): Promise<ComponentCode> {
  return admitComponent(await buildComponent(source, wit), 64 * 1024 * 1024, systemClock);
}

/** Calls an operation with these arguments; the answer as a value. */
export async function callComponent(guest: Guest, operation: string, ...args: unknown[]): Promise<unknown> {
  const answer = await guest.call(operation, Buffer.from(JSON.stringify(args)));
  return answer.length === 0 ? undefined : (JSON.parse(Buffer.from(answer).toString()) as unknown);
}

/** An instance of a component with that host. */
export function lifeOf(code: ComponentCode, host: GuestHost): Guest {
  return createComponentGuest(code, host);
}

/** A source that gives these pieces, whatever size is asked for, and then ends; `broken` is rejected with instead. */
export function sourceOf(
  pieces: readonly string[],
  broken?: Failure,
): ByteSource & { readonly cancelled: string[] } {
  const left = pieces.map((piece) => new TextEncoder().encode(piece));
  const cancelled: string[] = [];
  return {
    cancelled,
    async read() {
      await Promise.resolve();
      const piece = left.shift();
      if (piece === undefined && broken !== undefined) throw broken;
      return piece;
    },
    cancel: (reason) => void cancelled.push(reason),
  };
}

/** Streams of one process: what is served under a reference is opened by it, once. */
export function localStreams(): ByteStreams & { readonly served: ReadonlyMap<string, ByteSource> } {
  const served = new Map<string, ByteSource>();
  let count = 0;
  return {
    served,
    serve(source) {
      const ref = `local.${(count += 1)}`;
      served.set(ref, source);
      return ref;
    },
    open(ref) {
      const source = served.get(ref);
      if (source === undefined) throw new Failure("INVALID_REQUEST", "there is no such stream");
      served.delete(ref);
      return source;
    },
  };
}

function denied(providerType: string): Failure {
  return new Failure("PERMISSION_DENIED", `the guest has no grant of type ${providerType}`);
}
