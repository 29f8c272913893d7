import { describe, expect, it } from "vitest";
import { Failure } from "../../src/protocol/errors.ts";
import { fakeLattice, running, startFails, starting } from "../support/fake-lattice.ts";

/** A world in which node two has answered that it started some of what a life of node one left behind, and nobody has heard its facts. */
async function unheardStarts() {
  const { begin, pass, told } = await fakeLattice([]);
  const [one, two] = [begin("one"), begin("two")];
  const ids = ["a", "b", "c", "d", "e", "f", "g", "h"];
  for (const id of ids) running(one, id, 1);
  await pass(1);
  two.isUnheard = true;
  begin("one");
  await pass(0.5);
  const taken = ids.filter((id) => two.commands.join().includes(` ${id}`));
  expect(taken).not.toEqual([]);
  return { begin, pass, told, two, ids, taken };
}

describe("R8.2 P12: what a lost node ran is brought back once", () => {
  it("what was lost is not brought back where an earlier copy of it lives, which would refuse it", async () => {
    const { begin, lose, pass, told } = await fakeLattice([]);
    const two = begin("two");
    const ids = ["a", "b", "c", "d", "e", "f"];
    for (const id of ids) running(two, id, 2);
    await pass(1);
    lose("two");
    await pass(5);
    const one = begin("one");
    for (const id of ids) running(one, id, 1);
    await pass(2);
    begin("three");
    await pass(4);
    expect(one.commands.filter((text) => text.startsWith("start"))).toEqual([]);
    expect(await told()).toEqual(ids.map((id) => `${id} three running 3`));
  });

  it("what was lost is brought back although a later copy of it could never be started", async () => {
    const { begin, lose, pass, told } = await fakeLattice([]);
    running(begin("one"), "moved", 1);
    const two = begin("two");
    starting(two, "moved", 2);
    startFails(two, "moved");
    two.speaker.state("instance.stopped", { instanceId: "moved", restarts: 0, reason: "outranked" });
    await pass(1);
    lose("one");
    begin("one");
    await pass(3);
    expect(await told()).toEqual([expect.stringMatching(/^moved (?:one|two) running 3$/)]);
  });

  it("what the control plane that leads never heard of is told to it by one that did, and brought back", async () => {
    const { begin, lose, pass, told, first, plane } = await fakeLattice([]);
    begin("two");
    await pass(1);
    plane("second");
    await pass(6);
    first.cutOff();
    running(begin("one"), "moved", 1);
    await pass(1);
    lose("one");
    begin("one");
    first.back();
    await pass(2);
    expect(await told()).toEqual([expect.stringMatching(/^moved (?:one|two) running 2$/)]);
  });

  it("P2: a control plane that begins is told what is known of nodes that are away, and the one that knew may end", async () => {
    const { begin, lose, pass, told, first, plane } = await fakeLattice([]);
    const one = begin("one");
    // More than fits one message.
    const ids = Array.from({ length: 950 }, (_, index) => `kept-${index}`);
    for (const id of ids) running(one, id, 1);
    await pass(1);
    lose("one");
    await pass(6);
    plane("second");
    await pass(2);
    await first.stop();
    expect(new Set(await told())).toEqual(new Set(ids.map((id) => `${id} one unreachable 1`)));
    begin("two");
    await pass(4);
    expect((await told()).filter((text) => text.endsWith(" two running 2"))).toHaveLength(100);
  });

  it("R3.5: a control plane that begins waits for a node that does not speak, as long as another one has not lost it", async () => {
    const { begin, pass, plane } = await fakeLattice([]);
    const [one] = [begin("one"), begin("two")];
    running(one, "a", 1);
    await pass(1);
    one.isUnheard = true;
    let isReady = false;
    const late = plane("late");
    void late.ready.then(() => void (isReady = true));
    await pass(2);
    expect(isReady).toBe(false);
    one.isUnheard = false;
    await pass(2);
    expect(isReady).toBe(true);
  });

  it("P6 P12: what a node answered to have started is started nowhere else until it is heard, or that node is lost", async () => {
    const { begin, pass, told, two, taken } = await unheardStarts();
    const three = begin("three");
    await pass(0.5);
    expect(three.commands).toEqual([]);
    two.isUnheard = false;
    await pass(1);
    expect(await told()).toEqual(expect.arrayContaining(taken.map((id) => `${id} two running 2`)));
  });

  it("P6 P12: what a node answered to have started is started elsewhere, under a later incarnation, when that node's life ends unheard", async () => {
    const { begin, pass, told, ids, taken } = await unheardStarts();
    begin("two");
    await pass(2);
    const listed = await told();
    expect(listed).toHaveLength(ids.length);
    for (const id of taken)
      expect(listed).toContainEqual(expect.stringMatching(new RegExp(`^${id} (?:one|two) running 3$`)));
  });

  it("P6 P12: a node that did not answer may run what it was asked to, however long ago that was", async () => {
    const { begin, lose, regain, pass, told } = await fakeLattice([]);
    running(begin("one"), "moved", 1);
    const two = begin("two");
    await pass(1);
    lose("one");
    await pass(1);
    lose("two");
    two.isUnheard = true;
    running(two, "moved", 2);
    await pass(2);
    regain("one");
    await pass(3);
    expect(await told()).toEqual(["moved one running 1"]);
    lose("one");
    begin("three");
    await pass(5);
    expect(await told()).toEqual(["moved three running 3"]);
  });

  it("what was lost is brought back as soon as a node that was drained takes work again", async () => {
    const { begin, lose, pass, told } = await fakeLattice([]);
    running(begin("one"), "moved", 1);
    const two = begin("two");
    two.speaker.state("node.draining", {});
    await pass(1);
    lose("one");
    await pass(6);
    expect(await told()).toEqual(["moved one unreachable 1"]);
    two.speaker.state("node.resumed", {});
    await pass(1);
    expect(await told()).toEqual(["moved two running 2"]);
  });

  it("what every node has refused for good is offered again ten seconds later, although nothing else happens", async () => {
    const { begin, lose, pass, told } = await fakeLattice([]);
    running(begin("one"), "moved", 1);
    const two = begin("two");
    two.refuse = () => new Failure("INVALID_REQUEST", "not here", { retry: "never" });
    await pass(1);
    lose("one");
    await pass(6);
    expect(two.commands).toEqual(["start moved"]);
    two.refuse = () => undefined;
    await pass(6);
    expect(await told()).toEqual(["moved two running 2"]);
  });
});
