import type { Look } from "../look.ts";
import type { Checker } from "../observations.ts";

/** What does not keep a view from being whole. */
const harmless: ReadonlySet<string> = new Set([
  "crashes",
  "clock-step",
  "cell-lost",
  "engine-abort",
  "kill-control-plane",
  "kill-all-control-planes",
  "kill-amid-command",
]);

/** What was delayed may come so much later, and a node that begins again has to say so. */
const echoMs = 10_500;

/**
 * R3.5, P14: a control plane that is back on the bus asks the nodes what it missed and does not wait for their next
 * heartbeats: where nothing else is wrong its view is whole again within a second.
 */
export function checkWholeAgain(look: Look, wholeAgainMs: number): Checker {
  const regainedAt = new Map<string, number>();
  /** Nodes that have not begun again: whoever was away when one ended waits for it as for any that is silent. */
  const gone = new Set<string>();
  let disturbedUntil = 0;
  return (seen) => {
    if (seen.type === "fault" && !harmless.has(seen.kind))
      disturbedUntil = Math.max(
        disturbedUntil,
        look.now() + seen.forMs + (seen.kind.includes("cut") ? 0 : echoMs),
      );
    if (seen.type === "bus.lost" || seen.type === "ended" || seen.type === "began")
      regainedAt.delete(seen.host);
    if (seen.type === "ended" && seen.kind !== "control-plane") gone.add(seen.host);
    if (seen.type === "began") gone.delete(seen.host);
    if (seen.type === "bus.regained") regainedAt.set(seen.host, look.now());
    if (seen.type !== "told" || seen.view.view.complete) return;
    const since = regainedAt.get(seen.host);
    if (since === undefined || gone.size > 0) return;
    // Whoever is a little late for other reasons is not meant: the one look after the time that is promised counts.
    if (Math.abs(look.now() - since - wholeAgainMs) > 1 || disturbedUntil > since) return;
    look.fail(
      `${seen.host} is back on the bus for ${wholeAgainMs} ms and has not made its view whole: ${seen.view.view.gaps.join(" ")}`,
    );
  };
}
