import { delay, systemClock } from "../../../src/clock.ts";
import type { Cluster } from "./cluster.ts";
import type { Fault } from "./faults.ts";
import { campaignHost, type Cut } from "./hosts.ts";
import { chaosLimits } from "./limits.ts";
import type { Part } from "./part.ts";

/** A fault as it happened; ms since 1970. */
export interface Struck {
  readonly fault: Fault;
  readonly beganAt: number;
  /** When it was taken back; that the parts are back takes longer. */
  endedAt: number;
}

/** Strikes a cluster with faults, each at its time, and heals it in the end. */
export async function strike(
  cluster: Cluster,
  faults: readonly Fault[],
  onStruck: (struck: Struck) => void,
): Promise<void> {
  const cuts = new Map<Fault, readonly Cut[]>();
  const returning: Promise<void>[] = [];
  const comeBack = (part: Part) => {
    // One that comes back while it is cut off is ready only later.
    returning.push(part.start().catch(() => undefined));
  };
  const network = serialized(() => cluster.hosts.cut([...cuts.values()].flat()));

  await Promise.all(
    faults.map(async (fault) => {
      await delay(systemClock, fault.atMs);
      const struck: Struck = { fault, beganAt: Date.now(), endedAt: Number.POSITIVE_INFINITY };
      onStruck(struck);
      const targets = fault.targets.flatMap((id) => cluster.parts.get(id) ?? []);
      switch (fault.kind) {
        case "kill":
          await Promise.all(targets.map((part) => part.kill()));
          await delay(systemClock, fault.forMs);
          targets.forEach(comeBack);
          break;
        case "kill-engine":
          for (const part of targets) part.killChildren();
          break;
        case "freeze":
          for (const part of targets) part.freeze();
          await delay(systemClock, fault.forMs);
          for (const part of targets) part.thaw();
          break;
        case "rolling":
          for (const part of targets) {
            await part.end();
            comeBack(part);
            await delay(systemClock, chaosLimits.rollingPauseMs);
          }
          break;
        case "partition":
        case "mute":
        case "deafen":
        case "loss":
        case "split":
          cuts.set(fault, cutsOf(cluster, fault));
          await network();
          await delay(systemClock, fault.forMs);
          cuts.delete(fault);
          await network();
      }
      struck.endedAt = Date.now();
    }),
  );
  await Promise.all(returning);
  await cluster.hosts.cut([]);
  for (const part of cluster.parts.values()) part.thaw();
  const down = [...cluster.parts.values()].filter((part) => !part.isRunning);
  await Promise.all(down.map((part) => part.start()));
}

function cutsOf(cluster: Cluster, { kind, targets }: Fault): Cut[] {
  const others = [...cluster.hosts.all.keys(), campaignHost].filter((id) => !targets.includes(id));
  const percent = kind === "loss" ? chaosLimits.lossPercent : 100;
  const out: Cut = { from: targets, to: others, percent };
  const into: Cut = { from: others, to: targets, percent };
  if (kind === "mute") return [out];
  return kind === "deafen" ? [into] : [out, into];
}

/** Runs one after the other: each replaces the whole table, and an older one must not come last. */
function serialized(act: () => Promise<void>): () => Promise<void> {
  let last = Promise.resolve();
  return () => (last = last.then(act));
}
