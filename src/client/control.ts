import { ask, type QuestionOf } from "../bus/ask.ts";
import type { Bus } from "../bus/bus.ts";
import { firstAnswer, isNobodyThere } from "../bus/first-answer.ts";
import type { AnswerOf } from "../bus/serve.ts";
import { randomId } from "../chance.ts";
import { type Clock, systemClock } from "../clock.ts";
import { clientLimits } from "../limits.ts";
import { Failure } from "../protocol/errors.ts";
import type { SubjectName } from "../protocol/subjects.ts";

/** The rows that control planes answer. */
export type ControlName = Extract<SubjectName, `ctl.${string}`>;

/** What a control plane answers on a row, with the unknown fields of a newer minor version. */
export type ControlAnswer<Name extends ControlName> = AnswerOf<Name>;

/** Asks a control plane; rejects with what it answers, or with what the bus says. */
export type AskControl = <Name extends ControlName>(
  name: Name,
  question: QuestionOf<Name>,
  /** Less than the usual patience, for whoever asks on the way to something else. */
  timeoutMs?: number,
) => Promise<ControlAnswer<Name>>;

/** Commands that change something: each gets an id, so that it can be sent again without a second effect. */
const changes: ReadonlySet<ControlName> = new Set<ControlName>([
  "ctl.instance.start",
  "ctl.instance.stop",
  "ctl.instance.restart",
  "ctl.instance.scale",
  "ctl.capability.assign",
  "ctl.capability.revoke",
]);

/** What needs no id to be sent again: questions, and pieces of a module, which stay what they are. */
function isRepeatable(name: ControlName): boolean {
  return name === "ctl.module.put" || name.endsWith(".list") || name.endsWith(".query");
}

/**
 * Asks whichever control plane of the lattice takes it; COMMUNICATION_FAILURE says how to start one where none is. A
 * change that is not answered soon is sent again under the same id: the control plane that took it may have died.
 */
export function askControl(bus: Bus, lattice: string, clock: Clock = systemClock): AskControl {
  return async <Name extends ControlName>(
    name: Name,
    question: QuestionOf<Name>,
    timeoutMs: number = clientLimits.commandTimeoutMs,
  ) => {
    const known = { commandId: randomId(20), ...(question as object) } as QuestionOf<Name>;
    try {
      const repetition = { clock, timeoutMs, repeatMs: clientLimits.commandRepeatMs };
      if (isRepeatable(name))
        return await firstAnswer(repetition, (left, signal) =>
          ask(bus, name, { lattice }, question, { timeoutMs: left, signal }),
        );
      if (!changes.has(name)) return await ask(bus, name, { lattice }, question, { timeoutMs });
      return await firstAnswer(repetition, (left, signal) =>
        ask(bus, name, { lattice }, known, { timeoutMs: left, signal }),
      );
    } catch (error) {
      throw isNobodyThere(error) ? noControlPlane(lattice, error) : error;
    }
  };
}

function noControlPlane(lattice: string, cause: Failure): Failure {
  return new Failure("COMMUNICATION_FAILURE", `no control plane listens in lattice ${lattice}`, {
    fix: "start one: wasmatrix up / wasmatrix control-plane",
    details: { lattice, noControlPlane: true, safeToRepeat: true },
    cause,
  });
}
