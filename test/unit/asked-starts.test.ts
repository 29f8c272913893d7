import { expect, it } from "vitest";
import { createAskedStarts } from "../../actors/control-plane/asked-starts.ts";
import { createView } from "../../src/lattice/view.ts";

const presence = { statusOf: () => "lost" as const };

it("P6 P12: what a silent node may run keeps its incarnation although another node refuses the next one", () => {
  const starts = createAskedStarts({ view: createView("default"), presence });
  const askNext = (nodeId: string) => {
    const incarnation = starts.incarnationFor("moved", nodeId);
    starts.ask("moved", nodeId, incarnation);
    return incarnation;
  };
  expect(askNext("silent")).toBe(1);
  expect(askNext("silent")).toBe(1);
  expect(askNext("full")).toBe(2);
  starts.answer("moved", false);
  expect(askNext("also-full")).toBe(2);
  starts.answer("moved", false);
  expect(askNext("free")).toBe(2);
  starts.answer("moved", true);
  expect(starts.incarnationFor("moved", "free")).toBe(3);
});

it("what every node that was asked refuses is asked for under the same incarnation again", () => {
  const starts = createAskedStarts({ view: createView("default"), presence });
  for (const nodeId of ["one", "two", "one"]) {
    expect(starts.incarnationFor("moved", nodeId)).toBe(1);
    starts.ask("moved", nodeId, 1);
    starts.answer("moved", false);
  }
});
