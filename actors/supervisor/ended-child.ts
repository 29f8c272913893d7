import type { AnyActorRef } from "xstate";
import { Failure } from "../../src/protocol/errors.ts";

/**
 * Ends what a crashed actor left running. A machine that dies of an error which it threw itself does not stop what it
 * invoked (XState 5.33): without this, the next life would find the subscriptions and timers of the last one still
 * at work.
 */
export function endOrphans(crashed: AnyActorRef): void {
  const { children } = crashed.getSnapshot() as { children?: Record<string, AnyActorRef | undefined> };
  for (const orphan of Object.values(children ?? {})) {
    const status = orphan?.getSnapshot().status;
    if (status === "active") orphan?.send({ type: "xstate.stop" });
    if (status === "error") endOrphans(orphan as AnyActorRef);
  }
}

/** Whether that actor is a machine that answers a `stop` where it is now. */
export function takesStop(actor: AnyActorRef): boolean {
  const snapshot = actor.getSnapshot() as { status: string; can?: (event: { type: string }) => boolean };
  return snapshot.status === "active" && snapshot.can?.({ type: "stop" }) === true;
}

/** What an actor died of, in words. */
export function reasonOf(error: unknown): string {
  if (error instanceof Failure) return `${error.code}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}
