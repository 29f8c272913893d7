import type { Look } from "../look.ts";
import type { Checker } from "../observations.ts";
import { asOf, hasRun, latest } from "../truth.ts";

interface Left {
  readonly host: string;
  readonly instanceId: string;
  readonly incarnation: number;
}

/**
 * P4, P17: once a node has stated that a grant is revoked, no call under it leaves its cells; a provider that has heard
 * so performs none that was under way, and none of a copy of which it has heard that a later one runs.
 */
export function checkGrants(look: Look): Checker {
  const calls = new Map<string, Left>();

  function checkLeaving({ host, instanceId, incarnation }: Left): void {
    const node = look.truth.nodes.get(host);
    const instance = node === undefined ? undefined : latest(node, instanceId);
    if (instance === undefined || instance.spec.incarnation !== incarnation || instance.status !== "running")
      return;
    if (!instance.grants.split(" ").includes("store"))
      look.fail(`a call of ${instanceId} left ${host} after its grant was revoked (fact ${instance.seq})`);
  }

  function checkPerformed(provider: string, { host, instanceId, incarnation }: Left): void {
    const heard = look.hearing.of(provider, host);
    const node = look.truth.nodes.get(host);
    if (heard === undefined || heard.isGap || node === undefined || node.epoch !== heard.epoch) return;
    const known = asOf(node, instanceId, heard.seq);
    if (known === undefined) return;
    const isItself = known.spec.incarnation === incarnation && known.status !== "stopped";
    // A later fact may be what an answer of the node itself told: grants are asked for where they are not known.
    const now = latest(node, instanceId);
    if (isItself && !known.grants.includes("store") && !(now?.grants.includes("store") ?? false))
      look.fail(
        `${provider} performed a call of ${instanceId} on ${host} although it had heard of the revocation`,
      );
    if (known.yields) return;
    for (const other of look.truth.nodes.values()) {
      const heardOther = other.host === host ? undefined : look.hearing.of(provider, other.host);
      if (heardOther === undefined || heardOther.isGap || heardOther.epoch !== other.epoch) continue;
      const copy = asOf(other, instanceId, heardOther.seq);
      if (copy === undefined || copy.status === "stopped" || copy.status === "starting") continue;
      // A copy that has never run takes nobody's place.
      if (!hasRun(other, copy, heardOther.seq)) continue;
      if (copy.spec.incarnation > Math.max(incarnation, known.spec.incarnation))
        look.fail(
          `${provider} performed a call of incarnation ${incarnation} of ${instanceId} on ${host} although it had heard that ${copy.spec.incarnation} runs on ${other.host}`,
        );
    }
  }

  return (seen) => {
    if (seen.type === "call.left") {
      calls.set(seen.uid, seen);
      checkLeaving(seen);
    }
    if (seen.type === "call.performed") {
      const left = calls.get(seen.uid);
      if (left === undefined) look.fail(`${seen.host} performed a call that no cell let out`);
      else if (left.instanceId !== seen.instanceId)
        look.fail(`${seen.host} performed a call of ${left.instanceId} as one of ${seen.instanceId}`);
      else checkPerformed(seen.host, left);
    }
  };
}
