import { capabilityScope } from "./capability-scope.ts";
import { guestHost } from "./guest-host.ts";
import { readFile } from "node:fs/promises";
import { createMemoryKv } from "../../src/capabilities/kv/memory.ts";
import { guestLimits } from "../../src/limits.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { admit } from "../../src/wasm/admission/admit.ts";
import type { AdmittedModule } from "../../src/wasm/admission/admit.ts";
import { loadGuest } from "../../src/wasm/guests/load-guest.ts";
import type { GuestEnd, GuestHost } from "../../src/wasm/guests/guest.ts";
import { buildExamples } from "../../scripts/build-examples.ts";
import type { ExampleName } from "../../scripts/build-examples.ts";

/** What a test decides about the host of a guest. */
export interface ExampleWorld {
  config?: Record<string, string>;
  /** A kv operation that is allowed; all of them unless given. */
  mayUse?: (operation: string) => boolean;
  /** Answers in place of the memory kv. */
  provider?: (operation: string, payload: Uint8Array) => Promise<Uint8Array>;
}

/** One instance of an example and what it wrote. */
export interface ExampleGuest {
  lines: string[];
  /** With the default fuel for each call. */
  call: (operation: string, payload: Uint8Array) => Uint8Array | Promise<Uint8Array>;
  /** Calls it with text and gives the answer as text. */
  say: (operation: string, payload?: string) => Promise<string>;
  /** Calls it and gives the reason for which that ended it. Rejects when it lives on. */
  endOf: (operation: string, payload?: Uint8Array) => Promise<GuestEnd>;
}

/** An example as it would run on a node: built if stale, admitted, and with this many pages of 64 KiB at most. */
export async function admittedExample(name: ExampleName, pagesMax = 16): Promise<AdmittedModule> {
  const { [name]: example } = await buildExamples([name]);
  return admit(await readFile(example.path), { memoryBytesMax: pagesMax * 65_536 });
}

/** Brings an admitted example to life on a memory kv under the capability id `store`. */
export function exampleGuest(admitted: AdmittedModule, world: ExampleWorld = {}): ExampleGuest {
  const lines: string[] = [];
  const guest = loadGuest(admitted.kind, new WebAssembly.Module(admitted.bytes), exampleHost(world, lines));
  const call: ExampleGuest["call"] = (operation, payload) => {
    if (guest.fuel !== undefined) guest.fuel.value = guestLimits.fuelDefault;
    return guest.call(operation, payload);
  };
  return {
    lines,
    call,
    say: async (operation, payload = "") =>
      Buffer.from(await call(operation, Buffer.from(payload))).toString(),
    async endOf(operation, payload = nothing) {
      try {
        await call(operation, payload);
      } catch (thrown) {
        return guest.endOf(thrown);
      }
      throw new Error(`the guest survived ${operation}`);
    },
  };
}

const nothing = new Uint8Array(0);

function exampleHost(world: ExampleWorld, lines: string[]): GuestHost {
  const { config = {}, mayUse = () => true } = world;
  const kv = createMemoryKv();
  const scope = capabilityScope({ instanceId: "i1", name: "example" });
  const provider = world.provider ?? ((operation, payload) => kv.call(scope, operation, payload));
  return guestHost({
    instanceId: "i1",
    config,
    log: (stream, text) => lines.push(`${stream}: ${text}`),
    async callCapability(capabilityId, providerType, operation, payload) {
      if (capabilityId === "config") return configured(config, Buffer.from(payload).toString());
      if (capabilityId !== "store" || providerType !== "kv" || !mayUse(operation)) {
        throw new Failure("PERMISSION_DENIED", `no grant for ${operation} of ${capabilityId}`);
      }
      return provider(operation, payload);
    },
  });
}

function configured(config: Record<string, string>, key: string): Uint8Array {
  const value = config[key];
  if (value === undefined) throw new Failure("INVALID_REQUEST", `the start command set no ${key}`);
  return Buffer.from(value);
}
