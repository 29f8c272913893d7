import fc from "fast-check";
import { applyFact, applyReplay } from "../../../../src/lattice/apply-fact.ts";
import { digestText } from "../../../../src/lattice/digest.ts";
import {
  allInstances,
  createView,
  findInstance,
  gapsOf,
  type LatticeView,
} from "../../../../src/lattice/view.ts";
import { viewLimits } from "../../../../src/limits.ts";
import { FactReplay, FactSchema, type Fact } from "../../../../src/protocol/facts.ts";
import { arrivals, histories, type Saying, tellHistory } from "../../../../test/support/lattice-histories.ts";
import { holds } from "../expect.ts";
import { valuesOf } from "../schema-values.ts";
import { fuzzTarget } from "../target.ts";

const sample = (schema: Parameters<typeof valuesOf>[0]) =>
  fc.sample(valuesOf(schema), { numRuns: 600, seed: 2 }).flatMap((value) => {
    const parsed = FactSchema.safeParse(value);
    return parsed.success ? [parsed.data] : [];
  });
const loneFacts = sample(FactSchema);
const replays = fc.sample(valuesOf(FactReplay), { numRuns: 200, seed: 3 }).flatMap((value) => {
  const parsed = FactReplay.safeParse(value);
  return parsed.success ? [parsed.data] : [];
});

/** A fact that nobody said, with numbers and names that may meet those of the history. */
const forged: fc.Arbitrary<Saying> = fc
  .tuple(
    fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom<Saying>(...loneFacts) },
      fc.constantFrom<Saying>(...replays),
    ),
    fc.constantFrom("node-0", "node-1", "node-2", "elsewhere"),
    fc.constantFrom(0, 1, 2, 3, 60, Number.MAX_SAFE_INTEGER),
    fc.constantFrom(0, 1_001_000, 1_002_000, 1_060_000, Number.MAX_SAFE_INTEGER),
    fc.nat({ max: 5_000 }),
  )
  .map(([said, node, seq, epoch, count]) => {
    const forged = { ...said, node, seq, epoch } as Saying;
    return forged.kind === "node.replay"
      ? { ...forged, index: count % 3, count: 1 + (count % 5_000) }
      : forged;
  });

interface Heard {
  readonly said: readonly Saying[];
}

/** What the network delivers of a history, and in between what liars say. */
const heard: fc.Arbitrary<Heard> = fc
  .record({
    history: histories,
    arrive: arrivals,
    lies: fc.array(fc.tuple(fc.nat(), forged), { maxLength: 12 }),
  })
  .map(({ history, arrive, lies }) => {
    const said: Saying[] = arrive(tellHistory(history).said);
    for (const [at, lie] of lies) said.splice(at % (said.length + 1), 0, lie);
    return { said };
  });

/** The view of a lattice: any facts in any order leave it whole, bounded, and aware of its gaps. */
export const target = fuzzTarget<Heard>({
  name: "lattice-view",
  weight: 0.3,
  arbitrary: heard,
  check({ said }) {
    const view = createView("default");
    for (const saying of said) {
      const doubt =
        saying.kind === "node.replay" ? applyReplay(view, saying, 1) : applyFact(view, saying as Fact, 1);
      checkView(view);
      // Whoever is in doubt is in the gaps, or nobody would ask.
      if (doubt !== undefined) holds(gapsOf(view).includes(doubt.nodeId), "a doubt without a gap");
      checkSeq(view, saying);
    }
    return gapsOf(view).length === 0;
  },
});

/** A node that counts as complete has heard everything up to its number; a jump over facts must show. */
function checkSeq(view: LatticeView, saying: Saying): void {
  const node = view.nodes.get(saying.node);
  if (node === undefined || saying.kind === "node.replay" || saying.epoch !== node.epoch) return;
  if (saying.seq > node.seq)
    holds(node.knowledge === "gap", `complete at ${node.seq} after fact ${saying.seq}`);
}

function checkView(view: LatticeView): void {
  holds(view.orphans.size <= viewLimits.orphansMax, "too many orphans");
  for (const partial of view.replays.values())
    holds(partial.parts.size <= viewLimits.replayPartsMax, "too many parts of a replay");
  for (const node of view.nodes.values()) {
    holds(node.early.length <= viewLimits.earlyFactsMax, "too many early facts");
    holds(node.stopped.length <= viewLimits.stoppedInstancesMax, "too many stopped instances");
    holds(/^[0-9a-f]{16}$/.test(digestText(node.digest)), "the digest is none");
    const stopped = new Set(node.stopped);
    holds(stopped.size === node.stopped.length, "an instance stopped twice");
    for (const [instanceId, { status, spec }] of node.instances) {
      holds(spec.instanceId === instanceId, "an instance under another's id");
      holds((status === "stopped") === stopped.has(instanceId), `${instanceId} is ${status}`);
    }
  }
  for (const { spec } of allInstances(view)) holds(findInstance(view, spec.instanceId) !== undefined, "lost");
}
