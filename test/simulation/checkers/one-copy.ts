import type { Look } from "../look.ts";
import type { Member } from "../members.ts";
import { latest } from "../truth.ts";

/** P12, P6: no instance has two living copies, and what a node says it runs is what its cells run. */
export function checkOneCopy(look: Look, members: readonly Member[]): void {
  for (const instanceId of look.truth.instanceIds()) {
    const copies = look.truth.copiesOf(instanceId);
    if (copies.length < 2) continue;
    const where = copies.map(
      ({ node, instance }) => `${node.host} (${instance.spec.incarnation}, ${instance.status})`,
    );
    look.fail(`${instanceId} has ${copies.length} living copies: ${where.join(", ")}`);
  }
  for (const { id, engines } of members) {
    const node = look.truth.nodes.get(id);
    if (engines === undefined || node === undefined || !node.isAlive) continue;
    for (const instanceId of engines.guests.keys()) {
      const status = latest(node, instanceId)?.status;
      if (status === undefined || status === "stopped")
        look.fail(`a cell of ${id} runs ${instanceId}, which is ${status ?? "unknown"}`);
    }
    for (const instanceId of node.instances.keys())
      if (latest(node, instanceId)?.status === "running" && !engines.guests.has(instanceId))
        look.fail(`${id} says that ${instanceId} runs, and no cell of it does`);
  }
}
