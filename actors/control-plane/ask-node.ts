import { ask, type QuestionOf } from "../../src/bus/ask.ts";
import { firstAnswer } from "../../src/bus/first-answer.ts";
import type { AnswerOf } from "../../src/bus/serve.ts";
import type { InstanceView } from "../../src/lattice/view.ts";
import { controlPlaneLimits, messageLimits } from "../../src/limits.ts";
import { asFailure, type ErrorBody, errorBody, Failure, failureOf } from "../../src/protocol/errors.ts";
import type { SubjectName } from "../../src/protocol/subjects.ts";
import type { Desk } from "./desk.ts";
import { isOutOfReach } from "./summaries.ts";

/** What one instance's node made of a command. */
export interface NodeRefusal {
  readonly instanceId: string;
  readonly nodeId: string;
  readonly error: ErrorBody;
}

type NodeRow = Extract<SubjectName, `node.${string}`>;

/**
 * Asks one node. NODE_UNAVAILABLE when nobody listens there, when it is known to be out of reach, and as soon as it is
 * lost while it is asked: what a node says that comes back after that is true of copies that others may have replaced.
 */
export async function askNode<Name extends NodeRow>(
  desk: Desk,
  nodeId: string,
  name: Name,
  question: QuestionOf<Name>,
  timeoutMs: number,
): Promise<AnswerOf<Name>> {
  if (isOutOfReach(desk, nodeId)) throw nodeUnavailable(nodeId, "is not heard of any more");
  const over = new AbortController();
  const forget = desk.presence.onEnd(nodeId, () => over.abort(lostMeanwhile(nodeId, name)));
  const repeatMs = isRepeatable(name, question) ? controlPlaneLimits.nodeRepeatMs : timeoutMs;
  const repetition = { clock: desk.clock, timeoutMs, repeatMs, signal: over.signal };
  const at = { lattice: desk.lattice, node: nodeId };
  try {
    return await firstAnswer(repetition, (leftMs, signal) =>
      ask(desk.bus, name, at, question, { timeoutMs: leftMs, signal }),
    );
  } catch (error) {
    const failure = asFailure(error);
    if (failure.details?.["noResponders"] === true)
      throw nodeUnavailable(nodeId, "does not listen on the bus", failure);
    if (failure.code !== "TIMEOUT") throw failure;
    throw new Failure(
      "TIMEOUT",
      `node ${nodeId} did not answer ${name} within ${timeoutMs} ms; it may have done it`,
      {
        fix: "`wasmatrix nodes` shows whether the node is alive, `wasmatrix ps` what became of the instances.",
        details: { nodeId },
        cause: failure,
      },
    );
  } finally {
    forget();
  }
}

/** Does something to many instances: one request per node and thousand, all at once. */
export async function askNodesOf<Done>(
  desk: Desk,
  instances: readonly InstanceView[],
  request: (
    nodeId: string,
    instanceIds: string[],
  ) => Promise<{ done: readonly Done[]; failed: readonly { instanceId: string; error: ErrorBody }[] }>,
): Promise<{ done: Done[]; failed: NodeRefusal[] }> {
  const done: Done[] = [];
  const failed: NodeRefusal[] = [];
  const byNode = Map.groupBy(instances, (instance) => instance.nodeId);
  const batches = [...byNode].flatMap(([nodeId, those]) =>
    batchesOf(
      those.map(({ spec }) => spec.instanceId),
      messageLimits.startCountMax,
    ).map((ids) => ({ nodeId, ids })),
  );
  await Promise.all(
    batches.map(async ({ nodeId, ids }) => {
      try {
        const answer = await request(nodeId, ids);
        done.push(...answer.done);
        failed.push(...answer.failed.map((one) => ({ ...one, nodeId })));
      } catch (error) {
        const body = errorBody(error, new Date(desk.clock.now()).toISOString());
        failed.push(...ids.map((instanceId) => ({ instanceId, nodeId, error: body })));
      }
    }),
  );
  return { done, failed };
}

/** The failure of a command of which parts were refused: the first refusal, with everything that was and was not done. */
export function refusedInPart(failed: readonly NodeRefusal[], details: Record<string, unknown>): Failure {
  const [first] = failed;
  if (first === undefined) throw new Error("nothing was refused");
  const failure = failureOf(first.error);
  const others = failed.length > 1 ? ` (and ${failed.length - 1} more)` : "";
  return new Failure(
    failure.code,
    `instance ${first.instanceId} on node ${first.nodeId}: ${failure.message}${others}`,
    {
      ...(failure.fix === undefined ? {} : { fix: failure.fix }),
      retry: failure.retry,
      details: {
        ...failure.details,
        ...details,
        failed: failed.slice(0, controlPlaneLimits.failuresListedMax),
        failedCount: failed.length,
      },
    },
  );
}

function nodeUnavailable(nodeId: string, why: string, cause?: Failure): Failure {
  return new Failure("NODE_UNAVAILABLE", `node ${nodeId} ${why}`, {
    fix: "`wasmatrix nodes` shows the nodes. If its process ended, start it again with `wasmatrix node`; if it runs, see whether it reaches the bus.",
    details: { nodeId, safeToRepeat: true },
    cause,
  });
}

const withoutSecondEffect: ReadonlySet<NodeRow> = new Set<NodeRow>([
  "node.instance.start",
  "node.instance.fence",
  "node.instance.yield",
]);

/** Whether a node does it once however often it is told: it knows incarnations, and what a command has changed. */
function isRepeatable(name: NodeRow, question: unknown): boolean {
  return withoutSecondEffect.has(name) || (question as { commandId?: string }).commandId !== undefined;
}

/** Not safe to repeat elsewhere, as where nobody listens: it may have done it, and come back with it. */
function lostMeanwhile(nodeId: string, name: string): Failure {
  return new Failure(
    "NODE_UNAVAILABLE",
    `node ${nodeId} was lost while it was asked ${name}; it may have done it`,
    {
      fix: "Ask again in a moment: `wasmatrix ps` shows what became of the instances.",
      details: { nodeId },
      retry: "later",
    },
  );
}

function batchesOf<One>(list: readonly One[], size: number): One[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, index) =>
    list.slice(index * size, (index + 1) * size),
  );
}
