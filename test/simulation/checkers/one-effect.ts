import type { Look } from "../look.ts";
import type { Checker } from "../observations.ts";

/**
 * P6: a command has one effect however often it is sent and whoever carries it out: no life of a node does twice for
 * one instance what one commandId asked for.
 */
export function checkOneEffect(look: Look): Checker {
  const done = new Set<string>();
  return (seen) => {
    if (seen.type !== "stated") return;
    const { fact, host } = seen;
    const { cause, kind, epoch } = fact;
    if (cause === undefined) return;
    // The end of an engine may make it start once more on the way to what the command wanted.
    if (kind === "instance.restarting" && fact.data.reason !== "it was told to") return;
    const about = fact.data as {
      instanceId?: string;
      restarts?: number;
      spec?: { instanceId: string; incarnation: number };
    };
    const instance =
      kind === "instance.starting"
        ? `${about.spec?.instanceId} ${about.spec?.incarnation}`
        : kind === "instance.restarting" || kind === "capability.assigned" || kind === "capability.revoked"
          ? about.instanceId
          : undefined;
    if (instance === undefined) return;
    const effect = `${host} ${epoch} ${cause} ${kind} ${instance}`;
    if (done.has(effect))
      look.fail(`command ${cause} had a second effect on ${host}: ${kind} of ${instance}`);
    done.add(effect);
  };
}
