import { createHash } from "node:crypto";
import { controlPlaneLimits } from "../../src/limits.ts";
import { encode } from "../../src/protocol/codec.ts";
import { asFailure, Failure } from "../../src/protocol/errors.ts";

/** Remembers answers, so that a repeated command has no second effect. */
export interface RepeatedCommands {
  /**
   * The answer to a command: the first one where this `commandId` was seen before, also while that is in progress,
   * and also when it was a refusal, but not when nobody knows what became of it: then it is carried out again, for nodes
   * remember what they have done. Without a `commandId` the command is simply carried out. INVALID_REQUEST when the
   * same `commandId` comes with another content.
   */
  once<Answer>(
    request: { commandId?: string | undefined },
    verb: string,
    carryOut: () => Promise<Answer>,
  ): Promise<Answer>;
  /** What is known here of a command that came with that id. */
  find(commandId: string): Readonly<KnownCommand> | undefined;
  /** Resolves when no command is in progress. */
  idle(): Promise<void>;
}

/** A command that came at least once. */
export interface KnownCommand {
  /** A digest of what it asks for. */
  readonly content: string;
  readonly answer: Promise<unknown>;
  /** How it ended; undefined while it is in progress. */
  outcome: { readonly answer: unknown } | { readonly error: unknown } | undefined;
}

/** Keeps the latest answers; the oldest goes first. */
export function createRepeatedCommands(capacity: number = controlPlaneLimits.answersMax): RepeatedCommands {
  const answers = new Map<string, KnownCommand>();
  const inProgress = new Set<Promise<unknown>>();

  function track<Answer>(answer: Promise<Answer>): Promise<Answer> {
    inProgress.add(answer);
    const end = () => inProgress.delete(answer);
    answer.then(end, end);
    return answer;
  }

  return {
    async once<Answer>(
      { ...request }: { commandId?: string | undefined },
      verb: string,
      carryOut: () => Promise<Answer>,
    ) {
      const { commandId } = request;
      if (commandId === undefined) return track(carryOut());
      const content = createHash("sha256").update(verb).update(encode(request, "msgpack")).digest("base64");
      const before = answers.get(commandId);
      if (before !== undefined) {
        if (before.content === content) return before.answer as Promise<Answer>;
        throw usedForAnother(commandId);
      }
      const answer = track(carryOut());
      const known: KnownCommand = { content, answer, outcome: undefined };
      answers.set(commandId, known);
      answer.then(
        (given) => (known.outcome = { answer: given }),
        (error: unknown) => {
          known.outcome = { error };
          if (asFailure(error).code === "TIMEOUT" && answers.get(commandId) === known)
            answers.delete(commandId);
        },
      );
      if (answers.size > capacity) answers.delete(answers.keys().next().value as string);
      return answer;
    },
    find: (commandId) => answers.get(commandId),
    async idle() {
      while (inProgress.size > 0) await Promise.allSettled(inProgress);
    },
  };
}

/** The refusal of a command whose id stands for another one. */
export function usedForAnother(commandId: string): Failure {
  return new Failure("INVALID_REQUEST", `commandId ${commandId} was used before, for another command`, {
    fix: "Give each command a commandId of its own; repeat one only to repeat the same command.",
    details: { field: "commandId" },
  });
}
