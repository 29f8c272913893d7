import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { validate } from "../../../src/bus/serve.ts";
import { systemClock } from "../../../src/clock.ts";
import { applyFact, applyReplay } from "../../../src/lattice/apply-fact.ts";
import { createSpeaker } from "../../../src/lattice/speaker.ts";
import { createView, type LatticeView } from "../../../src/lattice/view.ts";
import { decode } from "../../../src/protocol/codec.ts";
import type { Fact, FactReplay } from "../../../src/protocol/facts.ts";
import { lattice } from "../guest-engine.ts";
import { answerQuestions } from "../program.ts";
import { tellInstance, tellJoined } from "../speaking-node.ts";

/** A view of so many nodes, and how it heard of them: fact by fact as they started, or told again as a new listener. */
export interface ViewHeap {
  readonly nodes: number;
  readonly instancesPerNode: number;
  readonly heard: "live" | "replayed";
}

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Answers with the bytes per instance. */
answerQuestions(({ nodes, instancesPerNode, heard }: ViewHeap) => {
  // What is compiled and cached at the first facts is no part of the view.
  hearNode(createView(lattice), "warm-up", instancesPerNode, heard);
  const empty = heapBytes();
  const view = createView(lattice);
  for (let number = 0; number < nodes; number += 1) hearNode(view, `node-${number}`, instancesPerNode, heard);
  const bytes = heapBytes() - empty;
  const instances = [...view.nodes.values()].reduce((sum, node) => sum + node.instances.size, 0);
  if (instances !== nodes * instancesPerNode) throw new Error(`the view has ${instances} instances`);
  return Promise.resolve(bytes / instances);
});

/** Through the codec and the schemas, as from the bus: otherwise the view would share its strings with the speaker. */
function hearNode(
  view: LatticeView,
  nodeId: string,
  instancesPerNode: number,
  heard: ViewHeap["heard"],
): void {
  const told: Uint8Array[] = [];
  const speaker = createSpeaker({
    lattice,
    nodeId,
    clock: systemClock,
    publish: (_subject, data) => void told.push(data),
  });
  tellJoined(speaker);
  for (let number = 0; number < instancesPerNode; number += 1) tellInstance(speaker, number);
  if (heard === "replayed") {
    told.length = 0;
    speaker.tellAll();
  }
  for (const data of told) {
    const { value } = decode(data);
    if (heard === "replayed") applyReplay(view, validate("fact.replay", value) as FactReplay, 0);
    else applyFact(view, validate("fact", value) as Fact, 0);
  }
}

function heapBytes(): number {
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().heapUsed;
}
