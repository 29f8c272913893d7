import { httpInterfaces } from "./http-interfaces.ts";
import { providerInterfaces } from "./provider-interfaces.ts";

/** What admission and `inspect` know of one interface that the host supplies. */
export interface HostInterface {
  /**
   * Functions whose host side may wait, by their WIT names: `get`, `[method]bucket.get`, `[static]cas.new`. Whoever
   * transpiles marks exactly these as asynchronous; one that is missing would hand its guest a promise.
   */
  readonly suspending: readonly string[];
  /** The type of the provider that it reaches, where it reaches one. */
  readonly providerType?: string;
  /** The permission that a WIT function needs; what needs none is not listed. */
  readonly permissions?: Readonly<Record<string, string>>;
}

const none: HostInterface = { suspending: [] };

/**
 * The interfaces that a component may import, without their versions: all of 0.2 and the drafts have the same names.
 * What is not here is no host interface. Their sources are the WIT packages of https://github.com/WebAssembly, and
 * for `wasmcloud:` those of https://github.com/wasmCloud/messaging.
 */
export const hostInterfaces: ReadonlyMap<string, HostInterface> = new Map<string, HostInterface>([
  ["wasi:io/error", none],
  ["wasi:io/poll", { suspending: ["poll", "[method]pollable.block"] }],
  [
    "wasi:io/streams",
    {
      suspending: [
        "[method]input-stream.blocking-read",
        "[method]input-stream.blocking-skip",
        "[method]output-stream.blocking-write-and-flush",
        "[method]output-stream.blocking-flush",
        "[method]output-stream.blocking-write-zeroes-and-flush",
        "[method]output-stream.blocking-splice",
      ],
    },
  ],
  ["wasi:clocks/wall-clock", none],
  ["wasi:clocks/monotonic-clock", none],
  ["wasi:clocks/timezone", none],
  ["wasi:random/random", none],
  ["wasi:random/insecure", none],
  ["wasi:random/insecure-seed", none],
  ["wasi:cli/environment", none],
  ["wasi:cli/exit", none],
  ["wasi:cli/stdin", none],
  ["wasi:cli/stdout", none],
  ["wasi:cli/stderr", none],
  ["wasi:cli/terminal-input", none],
  ["wasi:cli/terminal-output", none],
  ["wasi:cli/terminal-stdin", none],
  ["wasi:cli/terminal-stdout", none],
  ["wasi:cli/terminal-stderr", none],
  ["wasi:filesystem/types", none],
  ["wasi:filesystem/preopens", none],
  ["wasi:sockets/network", none],
  ["wasi:sockets/instance-network", none],
  ["wasi:sockets/ip-name-lookup", none],
  ["wasi:sockets/tcp", none],
  ["wasi:sockets/tcp-create-socket", none],
  ["wasi:sockets/udp", none],
  ["wasi:sockets/udp-create-socket", none],
  ["wasi:config/store", none],
  ["wasi:config/runtime", none],
  ["wasi:logging/logging", none],
  ...httpInterfaces,
  ...providerInterfaces,
]);
