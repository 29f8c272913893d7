import type { Clock } from "../clock.ts";
import { engineLimits } from "../limits.ts";
import type { EngineEvent } from "./engine.ts";

type Denied = Extract<EngineEvent, { type: "capability.denied" }>;

/**
 * Reports refusals: the first of its kind at once, those of the following second as one with their count. A guest
 * that asks in a loop must not flood the lattice with facts.
 */
export function createDenials(
  clock: Clock,
  report: (event: Denied) => void,
): (denied: Omit<Denied, "count">) => void {
  const counts = new Map<string, number>();

  const settle = (key: string, denied: Omit<Denied, "count">) => {
    const count = counts.get(key) ?? 0;
    if (count === 0) {
      counts.delete(key);
      return;
    }
    report({ ...denied, count });
    counts.set(key, 0);
    clock.setTimeout(() => settle(key, denied), engineLimits.denialPeriodMs);
  };

  return (denied) => {
    const key = `${denied.instanceId} ${denied.capabilityId} ${denied.providerType} ${denied.operation}`;
    const count = counts.get(key);
    counts.set(key, (count ?? 0) + 1);
    if (count === undefined) settle(key, denied);
  };
}
