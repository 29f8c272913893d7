import { createActor, fromCallback, fromPromise, setup, type Actor, type AnyActorRef } from "xstate";
import type { ChildFact, ChildReport, ChildSpec } from "../../actors/supervisor/child-spec.ts";
import {
  supervisorMachine,
  type SupervisorFact,
  type SupervisorInput,
} from "../../actors/supervisor/supervisor-machine.ts";
import { seededChance } from "../../src/chance.ts";
import type { VirtualClock } from "./virtual-clock.ts";

/** A supervisor on a virtual clock, with all that it said. */
export interface RunningSupervisor {
  readonly actor: Actor<typeof supervisorMachine>;
  readonly facts: SupervisorFact[];
  /** What the supervisor failed with, once it has. */
  readonly errors: unknown[];
  /** The facts as `type id`, without the prefix that they all share. */
  said(): string[];
  report(id: string): ChildReport | undefined;
  /** Sends an event to the child itself. */
  tell(id: string, type: string): void;
}

export function startSupervisor(
  clock: VirtualClock,
  children: SupervisorInput["children"],
  options: Partial<SupervisorInput> = {},
): RunningSupervisor {
  const facts: SupervisorFact[] = [];
  const errors: unknown[] = [];
  const actor = createActor(supervisorMachine, {
    clock,
    input: { children, now: () => clock.now(), chance: seededChance(1), ...options },
  });
  actor.on("*", (fact) => facts.push(fact));
  actor.subscribe({ error: (error) => errors.push(error) });
  actor.start();
  return {
    actor,
    facts,
    errors,
    said: () => facts.map((fact) => `${fact.type.slice("child.".length)} ${fact.id}`),
    report: (id) => actor.getSnapshot().context.children.find((report) => report.id === id),
    tell: (id, type) => actor.send({ type: "child.tell", id, event: { type } }),
  };
}

/** The facts of one child. */
export function factsOf(supervisor: RunningSupervisor, id: string): ChildFact[] {
  return supervisor.facts.filter((fact): fact is ChildFact => fact.id === id && fact.type !== "child.told");
}

/** What parts write down as they come and go. */
export interface Diary {
  diary: string[];
  name: string;
}

/**
 * A machine that crashes at `die`, completes at `finish`, and owns a subscription; at `stop` it takes a second to put
 * things in order, for ever after `hang`.
 */
export const fragilePart = setup({
  types: {} as {
    context: Diary;
    input: Diary;
    events: { type: "die" | "finish" | "stop" | "hang" | "greet" };
  },
  actors: {
    subscription: fromCallback<{ type: string }, Diary>(({ input }) => {
      input.diary.push(`${input.name} up`);
      return () => void input.diary.push(`${input.name} down`);
    }),
  },
  actions: {
    die: ({ context }) => {
      throw new Error(`${context.name} died`);
    },
    ignore: () => {},
    greet: ({ context, self }) => (self._parent as AnyActorRef).send({ type: "hello", from: context.name }),
  },
  delays: { tidyUp: 1_000 },
}).createMachine({
  context: ({ input }) => input,
  invoke: { src: "subscription", input: ({ context }) => context },
  initial: "working",
  states: {
    working: {
      on: {
        die: { actions: "die" },
        finish: "finished",
        stop: "tidying",
        hang: "hanging",
        greet: { actions: "greet" },
      },
    },
    tidying: { after: { tidyUp: "finished" } },
    hanging: { on: { stop: { actions: "ignore" }, die: { actions: "die" } } },
    finished: { type: "final" },
  },
});

/** A callback that throws as soon as it is started. */
export const stillbornPart = fromCallback(() => {
  throw new Error("no such address");
});

/** A promise that a test settles. */
export function promisedPart() {
  const lives: PromiseWithResolvers<void>[] = [];
  const aborted: number[] = [];
  const logic = fromPromise<void, unknown>(({ signal }) => {
    const life = Promise.withResolvers<void>();
    const number = lives.push(life);
    signal.addEventListener("abort", () => aborted.push(number));
    return life.promise;
  });
  return { logic, lives, aborted };
}

/** A permanent {@link fragilePart}, unless `more` says otherwise. */
export function fragile(name: string, diary: string[], more: Partial<ChildSpec> = {}): ChildSpec {
  return { id: name, logic: fragilePart, input: { name, diary }, restart: "permanent", ...more };
}

/** The actor of a child in its `life`-th life, for what does not go through its supervisor. */
export function childOf({ actor }: RunningSupervisor, id: string, life: number): AnyActorRef {
  const place = actor.getSnapshot().children[id]?.getSnapshot() as { children: Record<string, AnyActorRef> };
  return place.children[`${id}/life-${life}`] as AnyActorRef;
}
