import { expect, test } from "vitest";
import { createActor } from "xstate";
import { providerSpec } from "../../actors/node-agent/node-children.ts";
import type { OpenProvider } from "../../actors/provider/open-provider.ts";
import type { HostedProvider } from "../../actors/provider/provider-kind.ts";
import type { ProviderSeat } from "../../actors/provider/provider-machine.ts";
import { supervisorMachine } from "../../actors/supervisor/supervisor-machine.ts";
import { seededChance } from "../../src/chance.ts";
import { providerLifeLimits } from "../../src/limits.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { memoryKvProvider } from "../support/hosted-provider.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const { checkMs, checkPeriodMs, openMs, restartsMax, unwellMs } = providerLifeLimits;
const gone = (why = "its backend is gone") => new Failure("PROVIDER_UNAVAILABLE", why);

/** A provider under a supervisor, whose openings, checks and ends the test decides. */
function supervised(firstOpen: () => Promise<void> = () => Promise.resolve(), isConnected = true) {
  const clock = virtualClock(1_000);
  /** What happened, facts by their verb. */
  const diary: string[] = [];
  const lives: { broken: (reason: string) => void; drained: () => void }[] = [];
  const connected = Promise.withResolvers<void>();
  if (isConnected) connected.resolve();
  const behaviour = {
    open: firstOpen as (hosted: HostedProvider) => Promise<void>,
    check: (): Promise<void> => Promise.resolve(),
    drainsAtOnce: true,
  };
  const seat: ProviderSeat = { hosted: memoryKvProvider(), lives: 0 };
  const open = async (hosted: HostedProvider): Promise<OpenProvider> => {
    await behaviour.open(hosted);
    const life = lives.length + 1;
    const broken = Promise.withResolvers<string>();
    const drained = Promise.withResolvers<void>();
    lives.push({ broken: broken.resolve, drained: drained.resolve });
    diary.push(`${hosted.backend} ${life} serves`);
    return {
      broken: broken.promise,
      check: () => behaviour.check(),
      async stop() {
        diary.push(`${life} drains`);
        if (!behaviour.drainsAtOnce) await drained.promise;
        diary.push(`${life} closed`);
      },
    };
  };
  const spec = providerSpec({
    seat,
    state: (kind, data) => {
      const { restarts, reason } = data as { restarts?: number; reason?: string };
      const told = restarts === 0 ? [] : [String(restarts)];
      diary.push(
        [kind.slice("provider.".length), ...told, ...(reason === undefined ? [] : [reason])].join(" "),
      );
    },
    untilConnected: () => connected.promise,
    open,
    onOpened: () => {},
  });
  const facts: string[] = [];
  const actor = createActor(supervisorMachine, {
    clock,
    input: { children: [spec], now: () => clock.now(), chance: seededChance(1) },
  });
  actor.on("*", (fact) => facts.push(fact.type));
  actor.start();
  const tell = (event: { type: string; [field: string]: unknown }) =>
    actor.send({ type: "child.tell", id: spec.id, event });
  const update = (backend: string) => {
    const outcome: { settled?: string } = {};
    tell({
      type: "provider.update",
      update: {
        next: { ...memoryKvProvider(), backend },
        settle: (failure?: Failure) => (outcome.settled ??= failure?.message ?? "done"),
      },
    });
    return outcome;
  };
  const read = () => diary.splice(0);
  return { clock, actor, spec, seat, lives, behaviour, connected, facts, tell, update, read };
}

test("R16.1: a provider says that it starts, serves, and only then that it is available", async () => {
  const { clock, read } = supervised();
  await clock.advance(0);
  expect(read()).toEqual(["starting", "memory 1 serves", "available"]);
});

test("R16: without a bus it waits, as long as that takes, and uses up no restart", async () => {
  const { clock, connected, read } = supervised(undefined, false);
  await clock.advance(24 * 3_600_000);
  expect(read()).toEqual([]);
  connected.resolve();
  await clock.advance(0);
  expect(read()).toEqual(["starting", "memory 1 serves", "available"]);
});

test("R16.2: a stop drains it, closes it, and is final: its supervisor does not start it again", async () => {
  const { clock, actor, spec, read, facts } = supervised();
  await clock.advance(0);
  read();
  actor.send({ type: "child.stop", id: spec.id });
  await clock.advance(120_000);
  expect(read()).toEqual(["draining", "1 drains", "1 closed", expect.stringMatching(/^stopped/)]);
  expect(facts).toEqual(["child.started", "child.stopped"]);
});

test("R16: one that cannot go on is closed, and made anew by its supervisor", async () => {
  const { clock, lives, read } = supervised();
  await clock.advance(0);
  read();
  lives[0]?.broken("the socket closed");
  await clock.advance(1_000);
  const [failed, ...rest] = read();
  expect(failed).toMatch(/^failed/);
  expect(rest).toEqual(["1 drains", "1 closed", "starting 1", "memory 2 serves", "available 1"]);
});

test("R16: one that cannot be opened is tried again with growing pauses, and given up in the end", async () => {
  const { clock, read, facts } = supervised(() => Promise.reject(gone()));
  await clock.advance(4 * 3_600_000);
  const said = read();
  expect(said.filter((one) => one.startsWith("starting"))).toHaveLength(restartsMax + 1);
  expect(said.filter((one) => one.startsWith("failed"))).toHaveLength(restartsMax + 1);
  expect(facts.at(-1)).toBe("child.failed");
  expect(clock.pending()).toEqual([]);
});

test("R16: an opening that takes too long is a failure; what it opens later is closed at once", async () => {
  const slow = Promise.withResolvers<void>();
  const { clock, behaviour, read } = supervised(() => slow.promise);
  await clock.advance(openMs - 1);
  expect(read()).toEqual(["starting"]);
  behaviour.open = () => Promise.resolve();
  await clock.advance(1);
  expect(read()[0]).toMatch(/^failed/);
  await clock.advance(1_000);
  slow.resolve();
  await clock.advance(0);
  expect(read()).toEqual([
    "starting 1",
    "memory 1 serves",
    "available 1",
    "memory 2 serves",
    "2 drains",
    "2 closed",
  ]);
});

test("R16: a check that fails is a fact, and so is one that passes again", async () => {
  const { clock, behaviour, read } = supervised();
  await clock.advance(0);
  read();
  behaviour.check = () => Promise.reject(gone());
  await clock.advance(checkPeriodMs);
  expect(read()).toEqual([expect.stringMatching(/^unwell/)]);
  await clock.advance(checkPeriodMs);
  expect(read()).toEqual([]);
  behaviour.check = () => Promise.resolve();
  await clock.advance(checkPeriodMs);
  expect(read()).toEqual(["available"]);
  await clock.advance(10 * checkPeriodMs);
  expect(read()).toEqual([]);
});

test("R16: a check that says nothing counts as failed, and a provider that stays unwell is made anew", async () => {
  const { clock, behaviour, read } = supervised();
  await clock.advance(0);
  read();
  behaviour.check = () => new Promise(() => {});
  await clock.advance(checkPeriodMs + checkMs);
  expect(read()).toEqual([expect.stringMatching(/^unwell/)]);
  behaviour.check = () => Promise.reject(gone());
  await clock.advance(unwellMs - 1);
  expect(read()).toEqual([]);
  behaviour.check = () => Promise.resolve();
  await clock.advance(1_000);
  const [failed, ...rest] = read();
  expect(failed).toMatch(/^failed/);
  expect(rest).toEqual(["1 drains", "1 closed", "starting 1", "memory 2 serves", "available 1"]);
});

test("R16.4: an update has the new one serve before the old one drains, which may take as long as it likes", async () => {
  const { clock, behaviour, lives, seat, update, read } = supervised();
  await clock.advance(0);
  read();
  behaviour.drainsAtOnce = false;
  const first = update("other");
  await clock.advance(0);
  expect(first.settled).toBe("done");
  expect(read()).toEqual(["other 2 serves", "1 drains", "updated"]);
  const second = update("third");
  await clock.advance(0);
  expect(second.settled).toBe("done");
  expect(read()).toEqual(["third 3 serves", "2 drains", "updated"]);
  lives[0]?.drained();
  lives[1]?.drained();
  await clock.advance(0);
  expect(read()).toEqual(["1 closed", "2 closed"]);
  // What it is made of now is what its next life is made of.
  expect(seat.hosted.backend).toBe("third");
  lives[0]?.broken("the former one is of no concern");
  await clock.advance(1_000);
  expect(read()).toEqual([]);
  lives[2]?.drained();
  lives[2]?.broken("the present one is");
  await clock.advance(1_000);
  expect(read().slice(1)).toEqual(["3 drains", "3 closed", "starting 1", "third 4 serves", "available 1"]);
});

test("R16.4: an update that cannot be opened is refused with the reason, and the old one stays as it was", async () => {
  const { clock, behaviour, seat, update, read } = supervised();
  await clock.advance(0);
  read();
  behaviour.open = () => Promise.reject(gone("there is no server"));
  const refused = update("other");
  await clock.advance(0);
  expect(refused.settled).toBe("there is no server");
  behaviour.open = () => new Promise(() => {});
  const slow = update("other");
  await clock.advance(1);
  const second = update("third");
  expect(second.settled).toMatch(/being updated/);
  await clock.advance(openMs);
  expect(slow.settled).toMatch(/did not open/);
  expect(read()).toEqual([]);
  expect(seat.hosted.backend).toBe("memory");
});

test("R16: a stop, and a failure, end an update that is under way", async () => {
  for (const end of ["stop", "break"] as const) {
    const { clock, behaviour, lives, update, tell, read } = supervised();
    await clock.advance(0);
    const opening = Promise.withResolvers<void>();
    behaviour.open = ({ backend }) => (backend === "other" ? opening.promise : Promise.resolve());
    const outcome = update("other");
    await clock.advance(1);
    if (end === "stop") tell({ type: "stop" });
    else lives[0]?.broken("it broke");
    await clock.advance(0);
    expect(outcome.settled).toMatch(/ended meanwhile/);
    opening.resolve();
    await clock.advance(0);
    expect(read().slice(-2)).toEqual(["2 drains", "2 closed"]);
  }
});
