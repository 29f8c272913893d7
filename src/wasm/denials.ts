import type { Clock } from "../clock.ts";
import { auditLimits, engineLimits } from "../limits.ts";
import type { EngineEvent } from "./engine.ts";

type Denied = Extract<EngineEvent, { type: "capability.denied" }>;
type OneDenied = Omit<Denied, "count" | "more">;

/** What was refused to one instance in the period that runs. */
interface Period {
  /** What was told in it: the same again waits for the next one. */
  readonly told: Set<string>;
  readonly waiting: Map<string, { denied: OneDenied; count: number }>;
  /** Whether something found no place among those that wait. */
  isOver: boolean;
}

/**
 * Reports refusals: those that differ at once, up to `denialsPerPeriodMax` of an instance in a period; all others in
 * the next one, each once with its count. A guest that asks in a loop, even for something else each time, must not
 * flood the lattice with facts.
 */
export function createDenials(clock: Clock, report: (event: Denied) => void): (denied: OneDenied) => void {
  const periods = new Map<string, Period>();

  function begin(instanceId: string): Period {
    const period: Period = { told: new Set(), waiting: new Map(), isOver: false };
    periods.set(instanceId, period);
    clock.setTimeout(() => end(instanceId, period), engineLimits.denialPeriodMs);
    return period;
  }

  function end(instanceId: string, { waiting, isOver }: Period): void {
    if (waiting.size === 0) return void periods.delete(instanceId);
    const next = begin(instanceId);
    let more = isOver;
    for (const [key, { denied, count }] of waiting) {
      if (next.told.size >= auditLimits.denialsPerPeriodMax) next.waiting.set(key, { denied, count });
      else {
        next.told.add(key);
        report({ ...denied, count, ...(more ? { more } : {}) });
        more = false;
      }
    }
  }

  return (denied) => {
    const { instanceId, capabilityId, providerType, operation, permission } = denied;
    const key = `${capabilityId} ${providerType} ${operation} ${permission}`;
    const period = periods.get(instanceId) ?? begin(instanceId);
    const waiting = period.waiting.get(key);
    if (waiting !== undefined) waiting.count += 1;
    else if (!period.told.has(key) && period.told.size < auditLimits.denialsPerPeriodMax) {
      period.told.add(key);
      report({ ...denied, count: 1 });
    } else if (period.waiting.size < auditLimits.denialsWaitingMax)
      period.waiting.set(key, { denied, count: 1 });
    else period.isOver = true;
  };
}
