import { readFile } from "node:fs/promises";
import { buildExamples } from "../../scripts/build-examples.ts";
import type { ByteSource } from "../../src/byte-source.ts";
import { systemClock } from "../../src/clock.ts";
import { guestLimits } from "../../src/limits.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import type { Failure } from "../../src/protocol/errors.ts";
import { type ComponentHost, componentHost } from "../../src/wasm/components/world/component-host.ts";
import { createHttpWorld, type HttpWorld } from "../../src/wasm/components/world/http-world.ts";
import { admitComponent, type ComponentCode } from "../../src/wasm/components/admit-component.ts";
import { ComponentLife } from "../../src/wasm/components/component-life.ts";
import { instantiateComponent } from "../../src/wasm/components/load-component.ts";
import type { HandleRequest } from "../../src/wasm/components/world/http-exchange.ts";
import type { Fields } from "../../src/wasm/components/world/http-fields.ts";
import type { OutgoingRequest } from "../../src/wasm/components/world/http-outgoing-request.ts";
import type { OutgoingResponse, RequestOptions } from "../../src/wasm/components/world/http-outgoing.ts";
import { ioInterfaces } from "../../src/wasm/components/world/io.ts";
import type { GuestHost } from "../../src/wasm/guests/guest.ts";
import { bytesOf, guestHost } from "./guest-host.ts";

/** A host whose streams, timers and early answers a test holds in its hands. */
export interface HttpHost {
  readonly host: ComponentHost;
  /** What was offered, by reference. */
  readonly served: Map<string, ByteSource>;
  /** What the guest may open, by reference. */
  readonly opened: Map<string, ByteSource>;
  /** Answers that were sent while the guest went on. */
  readonly answers: unknown[];
  /** Lets all the time pass that somebody waits for. */
  passTime(): void;
}

/** A host without a network; `parts` replaces what a test needs to be otherwise. */
export function httpHost(parts: Partial<GuestHost> = {}): HttpHost {
  const served = new Map<string, ByteSource>();
  const opened = new Map<string, ByteSource>();
  const answers: unknown[] = [];
  let timers: (() => void)[] = [];
  const host = guestHost({
    streams: {
      serve(source) {
        const ref = `m.${served.size + 1}`;
        served.set(ref, source);
        return ref;
      },
      open(ref) {
        const source = opened.get(ref) ?? served.get(ref);
        if (source === undefined) throw new Error(`this test has no stream ${ref}`);
        return source;
      },
    },
    after(_ms, callback) {
      timers.push(callback);
      return () => void (timers = timers.filter((one) => one !== callback));
    },
    answer: (bytes) => void answers.push(decode(bytes).value),
    ...parts,
  });
  return {
    host: componentHost(host),
    served,
    opened,
    answers,
    passTime() {
      for (const fire of timers.splice(0)) fire();
    },
  };
}

/** Everything that a source gives. */
export async function readAll(source: ByteSource, bytesMax = 65_536): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for (;;) {
    const piece = await source.read(bytesMax);
    if (piece === undefined) return Buffer.concat(pieces);
    pieces.push(piece);
  }
}

/** A source of these texts, a piece each; a failure among them breaks it. */
export function sourceOf(
  ...pieces: readonly (string | Failure)[]
): ByteSource & { readonly cancels: string[] } {
  const left = [...pieces];
  const cancels: string[] = [];
  return {
    cancels,
    async read() {
      const piece = left.shift();
      if (typeof piece === "object") throw piece;
      return piece === undefined ? undefined : bytesOf(piece);
    },
    cancel: (reason) => void cancels.push(reason),
  };
}

/** The classes of `wasi:http/types`, as a guest of this world has them. */
export function typesOf(world: HttpWorld): HttpTypes {
  return world.imports["wasi:http/types"] as unknown as HttpTypes;
}

interface HttpTypes {
  readonly Fields: { new (): Fields; fromList(entries: [string, Uint8Array][]): Fields };
  readonly OutgoingRequest: new (headers: Fields) => OutgoingRequest;
  readonly OutgoingResponse: new (headers: Fields) => OutgoingResponse;
  readonly RequestOptions: new () => RequestOptions;
}

/** A component that handles HTTP requests, alive. */
export interface HttpGuest {
  readonly world: HttpWorld;
  /** Asks it as a message does; the answer is decoded. */
  ask(request: Record<string, unknown>): Promise<unknown>;
}

/** `examples/hello-http`, admitted as a node does it. */
export async function helloHttpCode(): Promise<ComponentCode> {
  const { "hello-http": example } = await buildExamples(["hello-http"]);
  return admitComponent(
    new Uint8Array(await readFile(example.path)),
    guestLimits.memoryBytesDefault,
    systemClock,
  );
}

/** Brings a component to life that exports `wasi:http/incoming-handler` and imports nothing but wasi:http and wasi:io. */
export function httpGuest(code: ComponentCode, host: ComponentHost): HttpGuest {
  const life = new ComponentLife();
  const world = createHttpWorld(host);
  const exports = instantiateComponent(code, { ...ioInterfaces(host), ...world.imports }, life);
  const { handle } = exports["incomingHandler"] as { handle: HandleRequest };
  return {
    world,
    async ask(request) {
      life.fuel.value = guestLimits.fuelMax;
      const answer = await world.incoming(encode(request, "msgpack"), handle);
      return answer.length === 0 ? "answered before" : decode(answer).value;
    },
  };
}
