import { type ErrorBody, Failure, failureOf } from "../protocol/errors.ts";

/** Questions put to a thread or a process, by id, until it answers or ends. */
export interface PendingAnswers {
  /** Sends what `send` sends under a fresh id and resolves with the answer to it. */
  ask<Answer>(send: (id: number) => void): Promise<Answer>;
  done(id: number, value: unknown): void;
  refused(id: number, error: ErrorBody): void;
  /** Rejects everything pending, and whatever is asked from now on. */
  end(reason: string): void;
}

/** An empty table; `who` stands in the failures. */
export function createPendingAnswers(who: string): PendingAnswers {
  const pending = new Map<number, { resolve: (value: never) => void; reject: (error: Failure) => void }>();
  let lastId = 0;
  let ended: string | undefined;
  const gone = (reason: string) =>
    new Failure("COMMUNICATION_FAILURE", `${who} ended: ${reason}`, {
      fix: "It is started again; repeat the command.",
    });

  return {
    ask(send) {
      if (ended !== undefined) return Promise.reject(gone(ended));
      return new Promise((resolve, reject) => {
        lastId += 1;
        pending.set(lastId, { resolve, reject });
        send(lastId);
      });
    },
    done(id, value) {
      pending.get(id)?.resolve(value as never);
      pending.delete(id);
    },
    refused(id, error) {
      pending.get(id)?.reject(failureOf(error));
      pending.delete(id);
    },
    end(reason) {
      ended = reason;
      for (const { reject } of pending.values()) reject(gone(reason));
      pending.clear();
    },
  };
}
