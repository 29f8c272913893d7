import { target as admission } from "./targets/admission.ts";
import { target as admittedModules } from "./targets/admitted-modules.ts";
import { target as capabilityCalls } from "./targets/capability-calls.ts";
import { target as capabilityPayloads } from "./targets/capability-payloads.ts";
import { target as componentReading } from "./targets/component-reading.ts";
import { target as componentTranslation } from "./targets/component-translation.ts";
import { target as decodeJson } from "./targets/decode-json.ts";
import { target as decodeMsgpack } from "./targets/decode-msgpack.ts";
import { target as guestsInEngine } from "./targets/guests-in-engine.ts";
import { target as httpOutRules } from "./targets/http-out-rules.ts";
import { target as httpServerRules } from "./targets/http-server-rules.ts";
import { target as latticeView } from "./targets/lattice-view.ts";
import { target as names } from "./targets/names.ts";
import { target as registryFiles } from "./targets/registry-files.ts";
import { target as streams } from "./targets/streams.ts";
import { target as subjectRows } from "./targets/subject-rows.ts";
import { target as toldFacts } from "./targets/told-facts.ts";
import type { FuzzTarget } from "./target.ts";

/** Every target, the slow ones first: they end last otherwise, on one worker alone. */
export const targets: readonly FuzzTarget[] = [
  guestsInEngine,
  componentTranslation,
  admittedModules,
  admission,
  componentReading,
  latticeView,
  subjectRows,
  capabilityCalls,
  capabilityPayloads,
  streams,
  registryFiles,
  httpServerRules,
  httpOutRules,
  names,
  toldFacts,
  decodeMsgpack,
  decodeJson,
];

/** How many cases each target gets: by weight, exactly so many in all unless one would get none. */
export function sharesOf(cases: number, among: readonly FuzzTarget[]): Map<string, number> {
  const weights = among.reduce((sum, { weight }) => sum + weight, 0);
  const shares = new Map<string, number>();
  let weighed = 0;
  for (const { name, weight } of among) {
    const before = Math.round((cases * weighed) / weights);
    weighed += weight;
    shares.set(name, Math.max(1, Math.round((cases * weighed) / weights) - before));
  }
  return shares;
}
