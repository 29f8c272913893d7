import { echoCalls, moleculerCalls, requests } from "./calls.ts";
import type { Figure } from "./figure.ts";
import { reduceFacts } from "./reducer.ts";

/** Every benchmark by its name; those that need other people's programs say so in `peers`. */
export const benchmarks: Readonly<Record<string, { readonly peers?: true; run(name: string): Promise<Figure> }>> = {
  "request.32B.64": { run: requests },
  "call.echo.32B.64": { run: (name) => echoCalls(name, 32, 64) },
  "call.echo.32B.256": { run: (name) => echoCalls(name, 32, 256) },
  "call.echo.4KiB.64": { run: (name) => echoCalls(name, 4_096, 64) },
  "call.echo.p50": { run: (name) => echoCalls(name, 32, 1) },
  "call.moleculer.32B.64": { peers: true, run: moleculerCalls },
  "reducer.1M": { run: reduceFacts },
};
