import { fromCallback } from "xstate";
import type { Clock, Timer } from "../../src/clock.ts";
import { nodeLimits } from "../../src/limits.ts";

/** What a heart beats with. */
export interface HeartbeatInput {
  clock: Clock;
  beat: () => void;
}

/** Beats at once and then every `nodeLimits.heartbeatMs`, counted from the first beat so that none drifts. */
export const heartbeat = fromCallback<{ type: "none" }, HeartbeatInput>(({ input: { clock, beat } }) => {
  let due = clock.now();
  let timer: Timer;
  const beatOn = () => {
    beat();
    due += nodeLimits.heartbeatMs;
    // After the machine slept, the missed beats are not made up for.
    if (due < clock.now()) due = clock.now() + nodeLimits.heartbeatMs;
    timer = clock.setTimeout(beatOn, due - clock.now());
  };
  beatOn();
  return () => clock.clearTimeout(timer);
});
