import { expect } from "vitest";
import { randomId } from "../../src/chance.ts";
import type { HeardFacts } from "./lattice-facts.ts";
import type { Answer, TestLattice } from "./lattice.ts";
import { after, type LifeModel, type LifeStep } from "./instance-life-model.ts";
import { countingGuest } from "./running-engine.ts";
import { wat } from "./wat.ts";

/** A guest that tells how often it was called in this life, in one digit, and traps when asked to `trap`. */
export const countingModule = { bytes: Buffer.from(wat(countingGuest)).toString("base64") };

/** An id or a name that no other run has. */
export function freshId(prefix: string): string {
  return `${prefix}-${randomId(10)}`;
}

/** Sends a command that has to succeed. */
export async function done(lattice: TestLattice, verb: string, payload: unknown): Promise<Answer> {
  const answer = await lattice.command(verb, payload);
  expect(answer, `${verb} ${JSON.stringify(payload).slice(0, 200)}`).toMatchObject({ ok: true });
  return answer;
}

/** Does a valid step to a real instance, and resolves once everything about it is told. */
export async function live(
  lattice: TestLattice,
  heard: HeardFacts,
  instanceId: string,
  life: LifeModel,
  step: LifeStep,
): Promise<LifeModel> {
  const next = after(life, step);
  if (step === "start") {
    await done(lattice, "instance.start", { module: countingModule, instanceId, restartPolicy: life.policy });
  } else if (step === "crash") {
    expect(await lattice.call(instanceId, "trap")).toMatchObject({ code: "GUEST_TRAPPED" });
  } else if (step === "call") {
    expect(await lattice.call(instanceId, "count")).toBe(String(next.calls));
  } else await done(lattice, `instance.${step}`, { instanceId });
  expect(await heard.untilTold(instanceId, next.told.length)).toEqual(next.told);
  return next;
}

/** What the lattice says of an instance, as far as the model knows it. */
export function expectedAnswer(instanceId: string, { status, restarts, incarnation }: LifeModel) {
  return { instanceId, status, restarts, incarnation };
}
