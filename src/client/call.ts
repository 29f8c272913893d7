import type { Bus } from "../bus/bus.ts";
import { isNobodyThere } from "../bus/first-answer.ts";
import { failureInAnswer } from "../bus/guest-answers.ts";
import { clientLimits } from "../limits.ts";
import { subjectFor } from "../protocol/addresses.ts";
import { headers } from "../protocol/calls.ts";
import { Failure } from "../protocol/errors.ts";
import type { InstanceSummary } from "../protocol/instance-spec.ts";
import type { AskControl } from "./control.ts";

/** What a call may say beside its payload. */
export interface CallOptions {
  readonly timeoutMs?: number;
  /** Stands in the guest's log lines and goes along with what it calls. */
  readonly correlationId?: string;
  /** W3C trace context. */
  readonly traceparent?: string;
}

/**
 * Calls a guest and resolves with its bytes. Rejects with the failure that the guest or its cell answered. When
 * nobody listens, a control plane is asked why: INSTANCE_NOT_FOUND, or INSTANCE_UNAVAILABLE with the status.
 */
export async function callGuest(
  bus: Bus,
  askControl: AskControl,
  at: { readonly lattice: string; readonly target: string; readonly operation: string },
  payload: Uint8Array,
  options: CallOptions,
): Promise<Uint8Array> {
  const { timeoutMs = clientLimits.callTimeoutMsDefault, correlationId, traceparent } = options;
  const subject = subjectFor("call", at);
  try {
    const answer = await bus.request(subject, payload, {
      timeoutMs,
      headers: {
        [headers.timeoutMs]: String(timeoutMs),
        ...(correlationId === undefined ? {} : { [headers.correlationId]: correlationId }),
        ...(traceparent === undefined ? {} : { [headers.traceparent]: traceparent }),
      },
    });
    const failure = failureInAnswer(answer);
    if (failure !== undefined) throw failure;
    return answer.data;
  } catch (error) {
    if (isNobodyThere(error)) throw await whyNobodyAnswers(askControl, at.target, timeoutMs);
    throw error;
  }
}

async function whyNobodyAnswers(askControl: AskControl, target: string, timeoutMs: number): Promise<Failure> {
  const found: InstanceSummary[] = [];
  const questions = [{ instanceId: target }, { name: target }];
  const answers = await Promise.all(
    questions.map((question) =>
      askControl("ctl.instance.list", { ...question, all: true }, timeoutMs).catch((error: unknown) => {
        if (error instanceof Failure && error.code === "INSTANCE_NOT_FOUND") return { instances: [] };
        throw error;
      }),
    ),
  );
  for (const { instances } of answers) found.push(...instances);
  if (found.length === 0) {
    return new Failure("INSTANCE_NOT_FOUND", `no instance has the id or name ${target}`, {
      fix: "`wasmatrix ps` lists those that there are.",
      details: { target },
    });
  }
  const statuses = [...new Set(found.map((instance) => instance.status))];
  return new Failure(
    "INSTANCE_UNAVAILABLE",
    `${target} is ${statuses.join(", ")}; nobody takes its calls now`,
    {
      fix: `See why with \`wasmatrix inspect ${target}\`; bring it back with \`wasmatrix restart ${target}\`.`,
      details: { target, statuses },
    },
  );
}
