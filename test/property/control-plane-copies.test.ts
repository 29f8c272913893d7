import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { copiesOn, isCopyOf } from "../../actors/control-plane/copies-on-node.ts";
import { applyFact, applyReplay } from "../../src/lattice/apply-fact.ts";
import { createView } from "../../src/lattice/view.ts";
import { arrivals, histories, tellHistory } from "../support/lattice-histories.ts";

describe("copies on a node", () => {
  it("P9: are those that its part of the view shows, whichever facts were heard in whichever order", () => {
    fc.assert(
      fc.property(histories, arrivals, (history, arrival) => {
        const view = createView("default");
        for (const saying of arrival(tellHistory(history).said)) {
          if (saying.kind === "node.replay") applyReplay(view, saying, 0);
          else applyFact(view, saying, 0);
          const node = view.nodes.get(saying.node);
          if (node === undefined) continue;
          const all = [...node.instances.values()];
          const copies = copiesOn(node);
          expect(copies.living).toBe(all.filter(({ status }) => status !== "stopped").length);
          for (const { spec } of all) {
            const { name: _, ...unnamed } = spec;
            for (const alike of [spec, unnamed])
              expect(copies.of(alike)).toBe(all.filter((one) => isCopyOf(one, alike)).length);
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});
