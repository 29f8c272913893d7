import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { applyFact, applyReplay } from "../../src/lattice/apply-fact.ts";
import { digestText } from "../../src/lattice/digest.ts";
import type { Speaker } from "../../src/lattice/speaker.ts";
import { createView, findInstance, gapsOf, type LatticeView } from "../../src/lattice/view.ts";
import {
  arrivals,
  byKey,
  histories,
  shapeOf,
  tellHistory,
  type Saying,
} from "../support/lattice-histories.ts";

const runs = { numRuns: 200 };

function hear(view: LatticeView, saying: Saying): void {
  if (saying.kind === "node.replay") applyReplay(view, saying, 0);
  else applyFact(view, saying, 0);
}

describe("the view", () => {
  it("P2 P5 P9 P13 P14 P21: comes to each node's truth after any loss, repetition and disorder, once doubted nodes told again", () => {
    fc.assert(
      fc.property(histories, arrivals, (history, arrival) => {
        const lattice = tellHistory(history);
        const view = createView("default");
        for (const saying of arrival(lattice.said)) hear(view, saying);
        for (const speaker of lattice.speakers.values()) speaker.heartbeat({ instances: 0 });
        for (const saying of lattice.takeNew()) hear(view, saying);
        for (const nodeId of gapsOf(view)) lattice.speakers.get(nodeId)?.tellAll();
        for (const saying of lattice.takeNew()) hear(view, saying);
        expect(gapsOf(view)).toEqual([]);
        for (const [nodeId, speaker] of lattice.speakers) {
          expect(shapeOf(view.nodes.get(nodeId))).toEqual(shapeOf(speaker.own()));
          for (const [instanceId, instance] of speaker.own().instances)
            expect([...(findInstance(view, instanceId)?.assignments ?? [])]).toEqual([
              ...instance.assignments,
            ]);
        }
      }),
      runs,
    );
  });

  it("P9 P14: never calls a node complete whose content differs from the node's truth at that seq", () => {
    fc.assert(
      fc.property(histories, arrivals, (history, arrival) => {
        const lattice = tellHistory(history);
        const view = createView("default");
        for (const saying of arrival(lattice.said)) {
          hear(view, saying);
          const node = view.nodes.get(saying.node);
          if (node?.knowledge !== "complete") continue;
          expect(shapeOf(node)).toEqual(lattice.truths.get(`${node.nodeId} ${node.epoch} ${node.seq}`));
        }
      }),
      runs,
    );
  });

  it("P16: what a node tells again gives the same node again, its digest included", () => {
    fc.assert(
      fc.property(histories, (history) => {
        const lattice = tellHistory(history);
        const view = createView("default");
        for (const speaker of lattice.speakers.values()) speaker.tellAll();
        for (const saying of lattice.takeNew()) hear(view, saying);
        for (const [nodeId, speaker] of lattice.speakers) {
          const heard = view.nodes.get(nodeId);
          expect(shapeOf(heard)).toEqual(shapeOf(speaker.own()));
          expect(heard && digestText(heard.digest)).toEqual(digestText(speaker.own().digest));
        }
      }),
      runs,
    );
  });

  it("gives two nodes the same digest exactly when what lives on them is the same", () => {
    const table = (speaker: Speaker) =>
      [...speaker.own().instances.values()]
        .filter(({ status }) => status !== "stopped")
        .map(({ spec, status, restarts, assignments }) =>
          JSON.stringify([spec.instanceId, spec.incarnation, status, restarts, byKey(assignments)]),
        )
        .toSorted((one, other) => (one < other ? -1 : 1))
        .join();
    const ofOneNode = histories.map((history) => history.map((step) => ({ ...step, node: 0 })));
    fc.assert(
      fc.property(ofOneNode, ofOneNode, fc.boolean(), (one, other, extended) => {
        const [first, second] = [one, extended ? [...one, ...other.slice(0, 1)] : other].map(
          (history) => tellHistory(history).speakers.get("node-0") as Speaker,
        ) as [Speaker, Speaker];
        expect(digestText(first.own().digest) === digestText(second.own().digest)).toBe(
          table(first) === table(second),
        );
      }),
      runs,
    );
  });
});
