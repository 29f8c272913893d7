import type { Look } from "../look.ts";
import type { Checker } from "../observations.ts";

/** Says that there was nothing to do: an operator takes it for the whole truth. */
const deniesAll: ReadonlySet<string> = new Set([
  "INVALID_REQUEST",
  "INSTANCE_NOT_FOUND",
  "INSTANCE_EXISTS",
  "PROVIDER_NOT_FOUND",
  "NODE_NOT_FOUND",
]);

/**
 * P6: a command has one effect however often it is sent and whoever carries it out: no life of a node does twice for
 * one instance what one commandId asked for. And one that had its effect is not answered as if it had none, as long as the
 * life of the node that knows of it goes on; of those about a name, parts may be refused.
 */
export function checkOneEffect(look: Look): Checker {
  const done = new Set<string>();
  const effects = new Map<string, Set<string>>();
  return (seen) => {
    if (seen.type === "command.settled" && !("name" in seen.question) && deniesAll.has(seen.outcome)) {
      const host = [...effects].find(([, causes]) => causes.has(seen.commandId))?.[0];
      if (host !== undefined)
        look.fail(
          `${seen.name} ${seen.commandId} was carried out on ${host} and answered with ${seen.outcome}`,
        );
    }
    if (seen.type === "ended") effects.delete(seen.host);
    if (seen.type !== "stated") return;
    const { fact, host } = seen;
    const { cause, kind, epoch } = fact;
    if (cause === undefined) return;
    effects.set(host, (effects.get(host) ?? new Set()).add(cause));
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
