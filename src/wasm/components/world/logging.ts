import { lineSink } from "../../guests/byte-streams.ts";
import type { ComponentHost } from "./component-host.ts";

/** `wasi:logging`: a line that begins with its level and, where there is one, its context. */
export function loggingInterfaces(host: ComponentHost) {
  const lines = lineSink((line) => host.log("console", line));
  const utf8 = new TextEncoder();
  return {
    "wasi:logging/logging": {
      log(level: string, context: string, message: string): void {
        const origin = context === "" ? level : `${level} ${context}`;
        const text = utf8.encode(`${origin}: ${message}\n`);
        host.pay(text.length);
        lines.write(text);
      },
    },
  };
}
