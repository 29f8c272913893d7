import type { Fact } from "../../../src/protocol/facts.ts";
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
 * one instance what one commandId asked for. And one that had its effect is not answered as if it had none, where all
 * control planes have heard of it and no other copy counts by now; of those about a name, parts may be refused.
 */
export function checkOneEffect(look: Look): Checker {
  const done = new Set<string>();
  /** The fact that says so, by the command that it is due to. */
  const effects = new Map<string, Fact>();
  const planes = new Set<string>();
  const hasHeard = (plane: string, { node, epoch, seq }: Fact) => {
    const heard = look.hearing.of(plane, node);
    return heard !== undefined && !heard.isGap && heard.epoch === epoch && heard.seq >= seq;
  };
  return (seen) => {
    if (seen.type === "began" && seen.kind === "control-plane") planes.add(seen.host);
    if (seen.type === "ended" && seen.kind === "control-plane") planes.delete(seen.host);
    if (seen.type === "command.settled" && !("name" in seen.question) && deniesAll.has(seen.outcome)) {
      const fact = effects.get(seen.commandId);
      const { instanceId } = seen.question as { instanceId?: string };
      const copies = instanceId === undefined ? [] : look.truth.copiesOf(instanceId);
      const hasMoved = copies.some(({ node }) => node.host !== fact?.node);
      if (fact !== undefined && !hasMoved && [...planes].every((plane) => hasHeard(plane, fact)))
        look.fail(
          `${seen.name} ${seen.commandId} was carried out on ${fact.node} and answered with ${seen.outcome}`,
        );
    }
    if (seen.type !== "stated") return;
    const { fact, host } = seen;
    const { cause, kind, epoch } = fact;
    if (cause === undefined) return;
    effects.set(cause, fact);
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
