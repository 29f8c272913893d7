import { createActor, fromCallback } from "xstate";
import { describe, expect, it } from "vitest";
import {
  type NodePresenceEvent,
  nodePresenceMachine,
} from "../../actors/control-plane/node-presence-machine.ts";
import { distribute, noPlace, place, type PlaceableNode } from "../../actors/control-plane/place.ts";
import { controlPlaneLimits } from "../../src/limits.ts";
import { type VirtualClock, virtualClock } from "../support/virtual-clock.ts";

const node = (nodeId: string, more: Partial<PlaceableNode> = {}): PlaceableNode => ({
  nodeId,
  status: "alive",
  labels: {},
  guestKinds: ["wapc"],
  instances: 0,
  instancesMax: 10,
  sameName: 0,
  ...more,
});

describe("placement", () => {
  it("prefers few of the same name, then headroom, then the lower id", () => {
    const nodes = [node("d", { instances: 1 }), node("c"), node("b"), node("a", { sameName: 1 })];
    expect(place(nodes, { requires: {} }).candidates.map(({ nodeId }) => nodeId)).toEqual([
      "b",
      "c",
      "d",
      "a",
    ]);
  });

  it("hands copies out evenly, never beyond a node's capacity, and keeps what has no place", () => {
    const { candidates } = place([node("a", { instancesMax: 1 }), node("b", { instancesMax: 3 })], {
      requires: {},
    });
    const { shares, left } = distribute(candidates, ["1", "2", "3", "4", "5"]);
    expect([...shares]).toEqual([
      ["a", ["1"]],
      ["b", ["2", "3", "4"]],
    ]);
    expect(left).toEqual(["5"]);
  });

  it("P18: names each node's reason when none fits", () => {
    const nodes = [
      node("a", { status: "lost" }),
      node("b", { status: "draining" }),
      node("c", { guestKinds: [] }),
      node("d", { labels: { zone: "us" } }),
      node("e", { labels: { zone: "eu" } }),
    ];
    const placement = place(nodes, {
      requires: { zone: "eu" },
      refused: new Map([["e", "refused: no memory"]]),
    });
    expect(placement.candidates).toEqual([]);
    expect(placement.unfit.map(({ nodeId, reason }) => `${nodeId} ${reason}`)).toEqual([
      "a is lost: nothing was heard of it for too long",
      "b is draining",
      "c runs no guests",
      "d has zone=us, required is zone=eu",
      "e refused: no memory",
    ]);
    expect(noPlace(placement, "it").code).toBe("RESOURCE_EXHAUSTED");
    expect(noPlace({ unfit: [] }, "it")).toMatchObject({
      code: "NODE_UNAVAILABLE",
      fix: "Start one with `wasmatrix node`.",
    });
  });
});

describe("a node's presence", () => {
  /** A presence whose probes tell what `probed` says, if anything. */
  const presenceOf = (clock: VirtualClock, probed: () => NodePresenceEvent | undefined = () => undefined) => {
    const machine = nodePresenceMachine.provide({
      actors: {
        probe: fromCallback<NodePresenceEvent>(({ sendBack }) => {
          const event = probed();
          if (event !== undefined) sendBack(event);
        }),
      },
    });
    return createActor(machine, { clock }).start();
  };

  it("goes from alive over quiet and suspect to lost in silence", async () => {
    const clock = virtualClock();
    const presence = presenceOf(clock);
    await clock.advance(controlPlaneLimits.quietAfterMs - 1);
    presence.send({ type: "heard" });
    await clock.advance(controlPlaneLimits.quietAfterMs - 1);
    expect(presence.getSnapshot().value).toBe("alive");
    await clock.advance(1);
    expect(presence.getSnapshot().value).toBe("quiet");
    await clock.advance(controlPlaneLimits.suspectAfterMs - controlPlaneLimits.quietAfterMs);
    expect(presence.getSnapshot().value).toBe("suspect");
    await clock.advance(controlPlaneLimits.lostAfterMs - controlPlaneLimits.suspectAfterMs);
    expect(presence.getSnapshot().value).toBe("lost");
  });

  it("is lost sooner when the bus says that nobody listens there any more", async () => {
    const clock = virtualClock();
    const presence = presenceOf(clock, () => ({ type: "probe.vanished" }));
    await clock.advance(controlPlaneLimits.quietAfterMs + controlPlaneLimits.vanishedMs - 1);
    expect(presence.getSnapshot().value).toBe("vanished");
    await clock.advance(1);
    expect(presence.getSnapshot().value).toBe("lost");
  });

  it("is not lost by a reconnect: any word in time ends the doubt", async () => {
    const clock = virtualClock();
    const presence = presenceOf(clock, () => ({ type: "probe.vanished" }));
    await clock.advance(controlPlaneLimits.quietAfterMs + controlPlaneLimits.vanishedMs - 1);
    presence.send({ type: "heard" });
    expect(presence.getSnapshot().value).toBe("alive");
  });

  it("is back for a while before it is trusted again", async () => {
    const clock = virtualClock();
    const presence = presenceOf(clock);
    await clock.advance(controlPlaneLimits.lostAfterMs);
    presence.send({ type: "heard" });
    expect(presence.getSnapshot().value).toBe("back");
    await clock.advance(controlPlaneLimits.backMs);
    expect(presence.getSnapshot().value).toBe("alive");
  });

  it("is not judged while the listener is off the bus, and has its full time afterwards", async () => {
    const clock = virtualClock();
    const presence = presenceOf(clock);
    await clock.advance(controlPlaneLimits.suspectAfterMs);
    presence.send({ type: "bus.lost" });
    await clock.advance(100 * controlPlaneLimits.lostAfterMs);
    presence.send({ type: "bus.regained" });
    await clock.advance(controlPlaneLimits.quietAfterMs - 1);
    expect(presence.getSnapshot().value).toBe("alive");
  });
});
