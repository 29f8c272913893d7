import { ask, type QuestionOf } from "../bus/ask.ts";
import type { Bus } from "../bus/bus.ts";
import type { AnswerOf } from "../bus/serve.ts";
import { randomId } from "../chance.ts";
import { type Clock, delay, systemClock } from "../clock.ts";
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

/** Commands that change something: each gets an id, so that it can be sent again without a second effect. */
const changes: ReadonlySet<ControlName> = new Set<ControlName>([
  "ctl.instance.start",
  "ctl.instance.stop",
  "ctl.instance.restart",
  "ctl.instance.scale",
  "ctl.capability.assign",
  "ctl.capability.revoke",
]);

/**
 * Asks whichever control plane of the lattice takes it; COMMUNICATION_FAILURE says how to start one where none is. A
 * change that is not answered soon is sent again under the same id: the control plane that took it may have died.
 */
export function askControl(bus: Bus, lattice: string, clock: Clock = systemClock): AskControl {
  return async <Name extends ControlName>(name: Name, question: QuestionOf<Name>) => {
    const { commandTimeoutMs: timeoutMs } = clientLimits;
    const known = { commandId: randomId(20), ...(question as object) } as QuestionOf<Name>;
    try {
      if (!changes.has(name)) return await ask(bus, name, { lattice }, question, { timeoutMs });
      return await firstAnswer(clock, timeoutMs, (left) =>
        ask(bus, name, { lattice }, known, { timeoutMs: left }),
      );
    } catch (error) {
      throw isNobodyThere(error) ? noControlPlane(lattice, error) : error;
    }
  };
}

/** Sends at once and then again and again, and takes the first answer that says what became of it. */
async function firstAnswer<Answer>(
  clock: Clock,
  timeoutMs: number,
  send: (timeoutMs: number) => Promise<Answer>,
): Promise<Answer> {
  const answered = new AbortController();
  const untilMs = clock.now() + timeoutMs;
  const attempts: Promise<Answer>[] = [];
  const first = Promise.withResolvers<Answer>();
  const attempt = () => {
    const sent = send(untilMs - clock.now());
    sent.then(first.resolve, (error: unknown) => {
      // Silence says nothing, and neither does a connection that was lost: the next attempt may be answered.
      if (!isSilence(error) || isNobodyThere(error)) first.reject(error);
    });
    attempts.push(sent);
  };
  const again = async () => {
    for (attempt(); untilMs - clock.now() > clientLimits.commandRepeatMs; attempt())
      await delay(clock, clientLimits.commandRepeatMs, answered.signal);
    const outcomes = await Promise.allSettled(attempts);
    first.reject((outcomes.at(-1) as PromiseRejectedResult | undefined)?.reason);
  };
  again().catch(() => undefined);
  try {
    return await first.promise;
  } finally {
    answered.abort(new Error("it is answered"));
  }
}

function isSilence(error: unknown): boolean {
  return error instanceof Failure && (error.code === "TIMEOUT" || error.code === "COMMUNICATION_FAILURE");
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
