/* The parts of wasi:io that other interfaces build on are in poll.ts, input-stream.ts and output-stream.ts. */
import type { ComponentHost } from "./component-host.ts";
import { InputStream } from "./input-stream.ts";
import { IoError } from "./io-error.ts";
import { OutputStream } from "./output-stream.ts";
import { pollInterface } from "./poll.ts";

/** `wasi:io`: its three interfaces for the guest of this host. */
export function ioInterfaces(host: ComponentHost) {
  return {
    "wasi:io/error": { Error: IoError },
    "wasi:io/poll": pollInterface(host),
    "wasi:io/streams": { InputStream, OutputStream },
  };
}
