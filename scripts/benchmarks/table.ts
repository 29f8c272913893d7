import { echoCalls, moleculerCalls, requests } from "./calls.ts";
import { componentFirstStart, componentKvGet, componentSecondStart } from "./components.ts";
import type { Figure } from "./figure.ts";
import { httpIn } from "./http.ts";
import { kvGets } from "./kv.ts";
import { crashRestart, density, startKnown, startThousand } from "./lifecycles.ts";
import { placeAmongHundred, relocateThousand, viewBytes } from "./nodes.ts";
import { rebuild } from "./rebuild.ts";
import { reduceFacts } from "./reducer.ts";
import { callsWithRoles } from "./trust-roles.ts";
import { trustedKvGets, trustedStarts } from "./trust.ts";

/** Every benchmark by its name; those that need other people's programs say so in `peers`. */
export const benchmarks: Readonly<
  Record<string, { readonly peers?: true; run(name: string): Promise<Figure> }>
> = {
  "request.32B.64": { run: requests },
  "call.echo.32B.64": { run: (name) => echoCalls(name, 32, 64) },
  "call.echo.32B.256": { run: (name) => echoCalls(name, 32, 256) },
  "call.echo.4KiB.64": { run: (name) => echoCalls(name, 4_096, 64) },
  "call.echo.p50": { run: (name) => echoCalls(name, 32, 1) },
  "call.moleculer.32B.64": { peers: true, run: moleculerCalls },
  "kv.get.64": { run: kvGets },
  "component.kv.get": { run: componentKvGet },
  "component.first-start": { run: componentFirstStart },
  "component.second-start": { run: componentSecondStart },
  "http.in": { run: httpIn },
  "start.known.p50": { run: startKnown },
  "start.count1000": { run: startThousand },
  "density.5000": { run: density },
  "crash.restart.p50": { run: crashRestart },
  "rebuild.10x1000": { run: (name) => rebuild(name, 10, 1_000) },
  "rebuild.100x1000": { run: (name) => rebuild(name, 100, 1_000) },
  "relocate.1000": { run: relocateThousand },
  "placement.100nodes.p50": { run: placeAmongHundred },
  "trust.kv.get.64": { run: trustedKvGets },
  "trust.call.echo.32B.64": { run: callsWithRoles },
  "trust.start.known.p50": { run: trustedStarts },
  "view.bytes-per-instance": { run: viewBytes },
  "reducer.1M": { run: reduceFacts },
};
