import { ask } from "../../src/bus/ask.ts";
import type { Subscription } from "../../src/bus/bus.ts";
import { type AnswerOf, serve } from "../../src/bus/serve.ts";
import { delay } from "../../src/clock.ts";
import { controlPlaneLimits } from "../../src/limits.ts";
import { errorBody, failureOf } from "../../src/protocol/errors.ts";
import type { Desk } from "./desk.ts";
import { usedForAnother } from "./repeated-commands.ts";

/** What the other control planes know of commands that come to this one. */
export interface AnsweredElsewhere {
  /**
   * The answer that another one gave to that command, or undefined where none has taken it up; rejects with what it was
   * refused with, or with INVALID_REQUEST where the id stands for another command. While another one is at it, its answer is waited for.
   */
  find(commandId: string): Promise<{ readonly answer: unknown } | undefined>;
  serve(): Subscription;
}

/**
 * A command may come late: a server stood still, or this process did, and meanwhile its sender has sent it again, another control
 * plane has carried it out, and later ones have changed what it would change now.
 */
export function createAnsweredElsewhere(desk: Desk): AnsweredElsewhere {
  const { lattice, bus, clock, peers, commands, controlPlaneId } = desk;
  /** Commands about which this one is asking itself. */
  const asking = new Set<string>();

  async function askOne(controlPlane: string, commandId: string): Promise<AnswerOf<"plane.command">> {
    const question = { controlPlane: controlPlaneId, commandId };
    const options = { timeoutMs: controlPlaneLimits.recallTimeoutMs };
    // One that does not answer may be gone, and knows nothing then that anybody could learn.
    return ask(bus, "plane.command", { lattice, controlPlane }, question, options).catch(() => ({
      status: "unknown",
    }));
  }

  async function askAll(commandId: string): Promise<{ readonly answer: unknown } | undefined> {
    const deadline = clock.now() + controlPlaneLimits.nodeStartMs;
    for (;;) {
      const said = await Promise.all(peers.others().map((one) => askOne(one, commandId)));
      const content = commands.find(commandId)?.content;
      if (said.some((one) => one.content !== undefined && one.content !== content))
        throw usedForAnother(commandId);
      const done = said.find(({ status }) => status === "done");
      if (done?.error !== undefined) throw failureOf(done.error);
      if (done !== undefined) return { answer: done.answer };
      const isUnderWay = said.some(({ status }) => status === "in-progress");
      if (!isUnderWay || clock.now() >= deadline) return undefined;
      await delay(clock, controlPlaneLimits.commandElsewhereMs);
    }
  }

  return {
    async find(commandId) {
      if (peers.others().length === 0) return undefined;
      asking.add(commandId);
      return askAll(commandId).finally(() => asking.delete(commandId));
    },
    serve: () =>
      serve(
        bus,
        clock,
        "plane.command",
        { lattice, controlPlane: controlPlaneId },
        ({ controlPlane, commandId }): AnswerOf<"plane.command"> => {
          const known = commands.find(commandId);
          // Of two that ask each other the one with the lower id carries it out.
          const yields = asking.has(commandId) && controlPlane < controlPlaneId;
          if (known === undefined || yields) return { status: "unknown" };
          const { outcome, content } = known;
          if (outcome === undefined) return { status: "in-progress", content };
          if ("answer" in outcome) return { status: "done", content, answer: outcome.answer };
          const error = errorBody(outcome.error, new Date(clock.now()).toISOString());
          return { status: "done", content, error };
        },
      ),
  };
}
