import { describe, expect, it } from "vitest";
import { digest, fakeLattice, running, startFails, starting } from "../support/fake-lattice.ts";

describe("R8.2 P12: which of two copies counts", () => {
  it("a copy that moves goes on until the one that takes over runs, whoever looks meanwhile", async () => {
    const { begin, pass } = await fakeLattice([]);
    const [one, two] = [begin("one"), begin("two")];
    running(one, "moved", 1);
    one.speaker.state("instance.yielding", { instanceId: "moved" });
    starting(two, "moved", 2);
    await pass(1);
    expect(one.commands).toEqual([]);
    two.speaker.state("instance.running", { instanceId: "moved", restarts: 0 });
    await pass(1);
    expect(one.commands).toEqual(["fence moved 1"]);
  });

  it("a copy that moves goes on while the one that takes over has crashed and waits for its next try", async () => {
    const { begin, pass } = await fakeLattice([]);
    const [one, two] = [begin("one"), begin("two")];
    running(one, "moved", 1);
    one.speaker.state("instance.yielding", { instanceId: "moved" });
    starting(two, "moved", 2);
    const at = "2023-12-01T00:00:00.000Z";
    const crash = { reason: "trap" as const, message: "wasm trap: unreachable", at };
    two.speaker.state("instance.crashed", { instanceId: "moved", restarts: 0, crash });
    const next = { attempt: 1, delayMs: 1_000, until: at };
    two.speaker.state("instance.backing-off", { instanceId: "moved", restarts: 0, ...next });
    await pass(1);
    expect(one.commands).toEqual([]);
    two.speaker.state("instance.running", { instanceId: "moved", restarts: 1 });
    await pass(1);
    expect(one.commands).toEqual(["fence moved 1"]);
  });

  it("a copy that moves goes on although the one that takes over has crashed before it ran, and is not tried again", async () => {
    const { begin, pass } = await fakeLattice([]);
    const [one, two] = [begin("one"), begin("two")];
    running(one, "moved", 1);
    one.speaker.state("instance.yielding", { instanceId: "moved" });
    starting(two, "moved", 2);
    const at = "2023-12-01T00:00:00.000Z";
    const crash = { reason: "trap" as const, message: "wasm trap: unreachable", at };
    two.speaker.state("instance.crashed", { instanceId: "moved", restarts: 0, crash });
    await pass(1);
    expect(one.commands).toEqual([]);
  });

  it("P12: a copy that starts protects none but the one that it replaces", async () => {
    const { begin, pass } = await fakeLattice([]);
    const [one, two, three] = [begin("one"), begin("two"), begin("three")];
    running(two, "moved", 2);
    starting(three, "moved", 3);
    running(one, "moved", 1);
    await pass(1);
    expect(one.commands).toEqual(["fence moved 1"]);
    expect(two.commands).toEqual([]);
  });

  it("a copy that could not be told to make room is told again, although nobody says anything of it", async () => {
    const { begin, lose, regain, pass } = await fakeLattice([]);
    const [one, two] = [begin("one"), begin("two")];
    running(one, "moved", 1);
    await pass(1);
    lose("one");
    running(two, "moved", 2);
    await pass(1);
    regain("one");
    await pass(2);
    expect(one.commands).toEqual(["fence moved 1"]);
  });

  it("P14: a later copy that could never be started does not take the place of one that runs", async () => {
    const { begin, pass, told } = await fakeLattice([]);
    const [one, two] = [begin("one"), begin("two")];
    running(one, "moved", 1);
    starting(two, "moved", 2);
    startFails(two, "moved");
    await pass(1);
    expect(await told()).toEqual(["moved one running 1"]);
    expect([one.commands, two.commands]).toEqual([[], ["fence moved 2"]]);
  });

  it("P6: a node that had a copy which ended is not asked for that incarnation again", async () => {
    const { begin, pass, command, told } = await fakeLattice([]);
    const [one, two] = [begin("one"), begin("two")];
    running(one, "moved", 1);
    starting(two, "moved", 2);
    two.speaker.state("instance.stopped", { instanceId: "moved", restarts: 0, reason: "outranked" });
    await pass(1);
    const moving = command("ctl.instance.relocate", { instanceId: "moved", nodeId: "two" });
    await pass(1);
    await moving;
    expect(await told()).toEqual(["moved two running 3"]);
  });

  it("P14: what a life of a node left behind counts less than an earlier copy that came back", async () => {
    const { begin, lose, pass, told } = await fakeLattice([]);
    const two = begin("two");
    running(two, "moved", 2);
    await pass(1);
    lose("two");
    await pass(5);
    // It was away, and comes back with what it ran before.
    running(begin("one"), "moved", 1);
    await pass(1);
    begin("two");
    await pass(3);
    expect(await told()).toEqual(["moved one running 1"]);
  });

  it("P6: a stop stays one although the node that carried it out begins a new life", async () => {
    const { begin, lose, pass, command, told } = await fakeLattice([]);
    running(begin("one"), "moved", 1);
    await pass(1);
    lose("one");
    begin("two");
    await pass(6);
    expect(await told()).toEqual(["moved two running 2"]);
    const stopping = command("ctl.instance.stop", { instanceId: "moved", commandId: "c2" });
    await pass(1);
    await stopping;
    begin("two");
    await pass(3);
    expect(await told()).toEqual([]);
  });

  it("P6: a stop of what had moved ends the earlier copy too, on a node that nobody had heard of", async () => {
    const { begin, pass, command, told } = await fakeLattice([]);
    running(begin("two"), "moved", 2);
    await pass(1);
    const stopping = command("ctl.instance.stop", { instanceId: "moved", commandId: "c2" });
    await pass(1);
    await stopping;
    begin("two");
    await pass(1);
    running(begin("one"), "moved", 1);
    await pass(3);
    expect(await told()).toEqual([]);
  });

  it("P6: what was stopped while the control plane that leads was off the bus is not brought back by it", async () => {
    const { begin, lose, pass, command, told, first, plane } = await fakeLattice([]);
    running(begin("one"), "kept", 1);
    begin("two");
    plane("second");
    await pass(6);
    first.cutOff();
    await pass(2);
    const stopping = command("ctl.instance.stop", { instanceId: "kept", commandId: "c2" });
    await pass(1);
    await stopping;
    lose("one");
    begin("one");
    await pass(1);
    first.back();
    await pass(4);
    expect(await told()).toEqual([]);
  });

  it("P6: a command that comes late to another control plane has no second effect", async () => {
    const { begin, pass, command, told, plane } = await fakeLattice([]);
    const [one, two] = [begin("one"), begin("two")];
    running(one, "kept", 1);
    plane("second");
    plane("third");
    await pass(2);
    const stopping = command("ctl.instance.stop", { instanceId: "kept", commandId: "c2" });
    await pass(1);
    await stopping;
    running(two, "kept", 2, { commandId: "c3", createdAt: "2023-11-15T00:00:00.000Z" });
    await pass(1);
    // One of the three gets each of them, by chance.
    for (let time = 0; time < 12; time += 1) {
      const late = command("ctl.instance.stop", { instanceId: "kept", commandId: "c2" });
      await pass(0.2);
      expect(await late).toEqual(await stopping);
      const other = command("ctl.instance.restart", { instanceId: "kept", commandId: "c2" });
      const refusal = expect(other).rejects.toThrow("commandId c2 was used before, for another command");
      await pass(0.2);
      await refusal;
    }
    expect(two.commands).toEqual([]);
    expect(await told()).toEqual(["kept two running 2"]);
  });

  it("P6: an instance that was started anew lives, be the stopped one before it of a later incarnation", async () => {
    const { begin, pass, command, told } = await fakeLattice([]);
    const [one, two] = [begin("one"), begin("two")];
    running(one, "kept", 2);
    await pass(1);
    const stopping = command("ctl.instance.stop", { instanceId: "kept", commandId: "c2" });
    await pass(1);
    await stopping;
    running(two, "kept", 1, { commandId: "c3", createdAt: "2030-01-01T00:00:00.000Z" });
    await pass(2);
    expect(await told()).toEqual(["kept two running 1"]);
    expect(two.commands).toEqual([]);
    begin("two");
    await pass(2);
    expect(await told()).toEqual([expect.stringMatching(/^kept (?:one|two) running 3$/)]);
  });

  it("P6: of two instances under one id, of which a split kept the first from being ended, the one that was started later lives", async () => {
    const { begin, pass } = await fakeLattice([]);
    const [one, two] = [begin("one"), begin("two")];
    running(one, "again", 4);
    running(two, "again", 4, { commandId: "c2", createdAt: "2023-11-01T00:00:00.000Z" });
    running(one, "twice", 5);
    running(two, "twice", 2, { commandId: "c3", createdAt: "2023-11-01T00:00:00.000Z" });
    await pass(1);
    expect(one.commands).toEqual(["fence again 4", "fence twice 5"]);
    expect(two.commands).toEqual([]);
  });

  it("P6: an instance that is started anew lives, be the clock of the node ahead that stopped the one before it", async () => {
    const { begin, pass, command, told } = await fakeLattice([]);
    const one = begin("one", 5_000);
    running(one, "again", 1, { commandId: "c1", createdAt: "2023-11-14T22:13:24.000Z" });
    const reason = "it was told to";
    one.speaker.state("instance.stopped", { instanceId: "again", restarts: 0, reason }, "stop-1");
    begin("two");
    one.speaker.state("node.draining", {});
    await pass(1);
    await command("ctl.instance.start", { module: { digest }, instanceId: "again" });
    await pass(3);
    expect(await told()).toEqual(["again two running 2"]);
  });
});
