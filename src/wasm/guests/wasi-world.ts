import type { Sink, Source } from "./byte-streams.ts";
import type { GuestHost } from "./guest.ts";

/** All that a WASI guest can see of the world. */
export interface WasiWorld {
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly stdin: Source;
  readonly stdout: Sink;
  readonly stderr: Sink;
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Resolves after `ms`; a rejection ends the guest. */
  sleep(ms: number): Promise<void>;
}

/** The world of a guest with these arguments and streams; everything else comes from its host. */
export function worldOf(
  host: GuestHost,
  args: readonly string[],
  streams: Pick<WasiWorld, "stdin" | "stdout" | "stderr">,
): WasiWorld {
  return {
    ...streams,
    args,
    environment: host.config,
    now: () => host.now(),
    sleep: (ms) => host.sleep(ms),
  };
}
