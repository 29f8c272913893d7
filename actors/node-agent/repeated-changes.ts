import { nodeLimits } from "../../src/limits.ts";

/** Remembers which command has changed which instance, so that a repeated one has no second effect. */
export interface RepeatedChanges {
  /** The first outcome where this command has changed that instance before, also while that is in progress. */
  once(commandId: string | undefined, instanceId: string, act: () => Promise<void>): Promise<void>;
}

/**
 * Keeps the latest changes. It is the node that remembers, for a command may be repeated through another control
 * plane, the first one having died before it could answer.
 */
export function createRepeatedChanges(): RepeatedChanges {
  const outcomes = new Map<string, Promise<void>>();
  return {
    once(commandId, instanceId, act) {
      if (commandId === undefined) return act();
      const key = `${commandId} ${instanceId}`;
      const before = outcomes.get(key);
      if (before !== undefined) return before;
      const outcome = act();
      outcomes.set(key, outcome);
      if (outcomes.size > nodeLimits.changesMax) outcomes.delete(outcomes.keys().next().value as string);
      return outcome;
    },
  };
}
