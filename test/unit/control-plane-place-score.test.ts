import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Candidate,
  distribute,
  foremostBySpread,
  place,
  type PlaceableNode,
  take,
} from "../../actors/control-plane/place.ts";

const node = (nodeId: string, more: Partial<PlaceableNode> = {}): PlaceableNode => ({
  nodeId,
  status: "alive",
  labels: {},
  guestKinds: ["wapc"],
  instances: 0,
  instancesMax: 100,
  sameName: 0,
  ...more,
});
const near = (where: "here" | "zone" | "far") => ({ nearness: [{ provider: "kv", where }] });
const order = (candidates: readonly Candidate[]) => candidates.map(({ nodeId }) => nodeId);
const ids = (count: number) => Array.from({ length: count }, (_, index) => `i-${index}`);
const sizes = (shares: ReadonlyMap<string, readonly string[]>) =>
  Object.fromEntries([...shares].map(([nodeId, share]) => [nodeId, share.length]));

describe("R11: the score of a node", () => {
  it("R12.1: prefers who hosts the provider, then its zone, then the rest", () => {
    const nodes = [node("a", near("far")), node("b", near("zone")), node("c", near("here"))];
    const { candidates } = place(nodes, { requires: {} });
    expect(candidates.map(({ nodeId, reasons }) => [nodeId, reasons])).toEqual([
      ["c", ["0 of the same name", "hosts kv", "100 of 100 places free"]],
      ["b", ["0 of the same name", "kv is in its zone", "100 of 100 places free"]],
      ["a", ["0 of the same name", "kv is elsewhere", "100 of 100 places free"]],
    ]);
  });

  it("does not heap copies on the one host of a provider", () => {
    const nodes = [node("a", near("far")), node("b", near("zone")), node("c", near("here"))];
    const { shares } = distribute(place(nodes, { requires: {} }).candidates, ids(30));
    expect(sizes(shares)).toEqual({ a: 9, b: 10, c: 11 });
  });

  it("takes a quarter of the capacity in use for as much as one copy", () => {
    const nodes = [node("a", { instances: 25 }), node("b", { sameName: 1 }), node("c", { instances: 24 })];
    expect(order(place(nodes, { requires: {} }).candidates)).toEqual(["c", "b", "a"]);
  });

  it("keeps copies even over the values of a label first, and takes nodes without it last", () => {
    const nodes = [
      node("a", { labels: { zone: "eu" } }),
      node("b", { labels: { zone: "eu" } }),
      node("c", { labels: { zone: "us" }, sameName: 1 }),
      node("d"),
    ];
    const { candidates } = place(nodes, { requires: {}, spread: "zone" });
    expect(candidates.map(({ nodeId, reasons }) => [nodeId, reasons[0]])).toEqual([
      ["a", "0 of the same name with zone=eu"],
      ["b", "0 of the same name with zone=eu"],
      ["c", "1 of the same name with zone=us"],
      ["d", "no label zone"],
    ]);
    expect(sizes(distribute(candidates, ids(9)).shares)).toEqual({ a: 3, b: 2, c: 4 });
    const full = distribute(candidates, ids(310)).shares;
    expect(sizes(full)).toEqual({ a: 100, b: 100, c: 100, d: 10 });
  });

  it("counts copies on nodes that take no work, but none on lost ones, where they spread", () => {
    const labels = { zone: "eu" };
    const nodes = [
      node("a", { labels }),
      node("b", { labels, status: "draining", sameName: 2 }),
      node("c", { labels, status: "lost", sameName: 9 }),
    ];
    expect(place(nodes, { requires: {}, spread: "zone" }).candidates[0]?.sameValue).toBe(2);
  });

  it("P18: says of a node why it is not the one, and which guests it runs", () => {
    const nodes = [node("a"), node("b"), node("c", { guestKinds: ["wapc", "component"] })];
    expect(place(nodes, { requires: {}, pinnedTo: "b", guestKind: "component" }).unfit).toEqual([
      { nodeId: "a", reason: "is not b, the only one that may", full: false },
      { nodeId: "b", reason: "runs no component guests, only wapc", full: false },
      { nodeId: "c", reason: "is not b, the only one that may", full: false },
    ]);
    const only = place(nodes, { requires: {}, only: "c", guestKind: "component" });
    expect([order(only.candidates), only.unfit]).toEqual([["c"], []]);
  });

  it("takes labels for what they are, whatever they are called", () => {
    const nodes = [node("a"), node("b", { labels: { constructor: "x" } })];
    expect(order(place(nodes, { requires: {}, spread: "constructor" }).candidates)).toEqual(["b", "a"]);
    expect(place(nodes, { requires: {}, spread: "toString" }).candidates[0]?.spreadValue).toBeUndefined();
  });
});

describe("R11: handing out copies", () => {
  it("1,000 over 5 nodes come out even, over zones too", () => {
    const nodes = ["a", "b", "c", "d", "e"].map((id) => node(id, { instancesMax: 10_000 }));
    const { shares, left } = distribute(place(nodes, { requires: {} }).candidates, ids(1_000));
    expect([sizes(shares), left]).toEqual([{ a: 200, b: 200, c: 200, d: 200, e: 200 }, []]);
    const zoned = nodes.map((one, index) => ({ ...one, labels: { zone: index < 4 ? "eu" : "us" } }));
    const over = distribute(place(zoned, { requires: {}, spread: "zone" }).candidates, ids(1_000));
    expect(sizes(over.shares)).toEqual({ a: 125, b: 125, c: 125, d: 125, e: 500 });
  });

  const anyNode = fc.record({
    zone: fc.constantFrom(undefined, "eu", "us", "asia"),
    instances: fc.nat(20),
    instancesMax: fc.nat(30),
    sameName: fc.nat(5),
    where: fc.constantFrom("here" as const, "zone" as const, "far" as const),
  });
  const anyNodes = fc.array(anyNode, { maxLength: 12 }).map((all) =>
    all.map(({ zone, where, ...more }, index) => ({
      ...node(`n${index}`, { ...more, ...near(where) }),
      labels: zone === undefined ? {} : { zone },
    })),
  );
  const spread = fc.constantFrom(undefined, "zone");

  it("two control planes with the same view choose alike, in whatever order they heard the nodes", () => {
    fc.assert(
      fc.property(anyNodes, spread, fc.nat(100), fc.infiniteStream(fc.nat()), (nodes, label, count, keys) => {
        const shuffled = nodes
          .map((one) => ({ one, key: keys.next().value as number }))
          .toSorted((one, other) => one.key - other.key)
          .map(({ one }) => one);
        const wanted = { requires: {}, spread: label };
        const [mine, theirs] = [nodes, shuffled].map((seen) => place(seen, wanted).candidates);
        expect(mine).toEqual(theirs);
        expect(distribute(mine ?? [], ids(count))).toEqual(distribute(theirs ?? [], ids(count)));
      }),
      { numRuns: 200 },
    );
  });

  it("P18: every copy has one place or is left, no node gets more than it has room for, none is left while there is room", () => {
    fc.assert(
      fc.property(anyNodes, spread, fc.nat(200), (nodes, label, count) => {
        const { candidates } = place(nodes, { requires: {}, spread: label });
        const { shares, left } = distribute(candidates, ids(count));
        expect([...shares.values()].flat().concat(left).toSorted()).toEqual(ids(count).toSorted());
        let room = 0;
        for (const { nodeId, free } of candidates) {
          const share = shares.get(nodeId)?.length ?? 0;
          expect(share).toBeLessThanOrEqual(free);
          room += free - share;
        }
        expect(left.length === 0 || room === 0).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it("values of a label differ by one at most where each has room", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("eu", "us", "asia"), { minLength: 1 }),
        fc.nat(60),
        (zones, count) => {
          const nodes = zones.map((zone, index) => node(`n${index}`, { labels: { zone } }));
          const { candidates } = place(nodes, { requires: {}, spread: "zone" });
          const { shares } = distribute(candidates, ids(count));
          const perZone = new Map<string, number>(zones.map((zone) => [zone, 0]));
          for (const { nodeId, spreadValue = "" } of candidates)
            perZone.set(spreadValue, (perZone.get(spreadValue) ?? 0) + (shares.get(nodeId)?.length ?? 0));
          const counts = [...perZone.values()];
          expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("what comes first by the label alone is what relocation chooses from", () => {
    const nodes = [
      node("a", { labels: { zone: "eu" }, sameName: 3 }),
      node("b", { labels: { zone: "us" }, sameName: 1 }),
      node("c", { labels: { zone: "us" } }),
      node("d"),
    ];
    const { candidates } = place(nodes, { requires: {}, spread: "zone" });
    for (const chosen of ["b", "c"]) {
      const first = foremostBySpread(candidates);
      expect(order(first).toSorted()).toEqual(["b", "c"]);
      for (const one of first) if (one.nodeId === chosen) take(candidates, one);
    }
    expect(order(foremostBySpread(candidates)).toSorted()).toEqual(["a", "b", "c"]);
  });
});
