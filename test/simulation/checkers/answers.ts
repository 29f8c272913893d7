import type { Look } from "../look.ts";
import type { Checker } from "../observations.ts";

/** How late a timer may be: the drift of a clock over half a minute, and the way of a message. */
const slackMs = 800;

const refusalsOfCalls: ReadonlySet<string> = new Set([
  "done",
  "PROVIDER_UNAVAILABLE",
  "PERMISSION_DENIED",
  "TIMEOUT",
  "COMMUNICATION_FAILURE",
  "RESOURCE_EXHAUSTED",
]);

/**
 * P10, P18, P20: every command is answered, refused or timed out within its deadline, and so is every call to a provider, also to
 * one that is stopped; nothing fails for a bug of ours. `pending` tells whether somebody still waits.
 */
export function checkAnswers(look: Look): { checker: Checker; pending: () => number } {
  const commands = new Set<string>();
  const checker: Checker = (seen) => {
    if (seen.type === "command.sent") commands.add(seen.commandId);
    if (seen.type === "command.settled") {
      commands.delete(seen.commandId);
      if (seen.outcome === "INTERNAL_ERROR")
        look.fail(`${seen.name} ${JSON.stringify(seen.question)}: INTERNAL_ERROR`);
      if (seen.tookMs > seen.timeoutMs + slackMs)
        look.fail(
          `${seen.name} ${seen.commandId} was answered after ${Math.round(seen.tookMs)} ms of ${seen.timeoutMs}`,
        );
    }
    if (seen.type === "call.settled") {
      if (!refusalsOfCalls.has(seen.outcome)) look.fail(`call ${seen.uid} got ${seen.outcome}`);
    }
  };
  return { checker, pending: () => commands.size };
}
