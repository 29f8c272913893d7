import { ask, type QuestionOf } from "../bus/ask.ts";
import type { Bus } from "../bus/bus.ts";
import type { AnswerOf } from "../bus/serve.ts";
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
) => Promise<ControlAnswer<Name>>;

/** Asks whichever control plane of the lattice takes it; COMMUNICATION_FAILURE says how to start one where none is. */
export function askControl(bus: Bus, lattice: string): AskControl {
  return async <Name extends ControlName>(name: Name, question: QuestionOf<Name>) => {
    try {
      return await ask(bus, name, { lattice }, question, { timeoutMs: clientLimits.commandTimeoutMs });
    } catch (error) {
      throw isNobodyThere(error) ? noControlPlane(lattice, error) : error;
    }
  };
}

/** Whether the server said that nobody listens. */
export function isNobodyThere(error: unknown): error is Failure {
  return error instanceof Failure && error.details?.["noResponders"] === true;
}

function noControlPlane(lattice: string, cause: Failure): Failure {
  return new Failure("COMMUNICATION_FAILURE", `no control plane listens in lattice ${lattice}`, {
    fix: "start one: wasmatrix up / wasmatrix control-plane",
    details: { lattice, noControlPlane: true, safeToRepeat: true },
    cause,
  });
}
