import type { InstanceView, LatticeView } from "../../src/lattice/view.ts";
import type { Log } from "../../src/log.ts";
import { placementGrant } from "../../src/trust/placement.ts";
import type { ProofKeys } from "../../src/trust/proof-keys.ts";

/**
 * Has a view tell copies that a control plane has put where they are from those that a node has invented. The end of a
 * proof does not matter here: an instance stays where it was put.
 */
export function trustPlacements(view: LatticeView, keys: ProofKeys, log: Log): void {
  const checked = new WeakMap<InstanceView, boolean>();

  function check({ nodeId: node, spec }: InstanceView): boolean | undefined {
    const { instanceId, incarnation, name = instanceId } = spec;
    const assignment = placementGrant(spec);
    const claims = { lattice: view.lattice, node, instanceId, incarnation, name, assignment };
    let outcome = keys.check(spec.placement, claims);
    if (outcome === "unknown-key") {
      for (const life of [view.nodes.get(node), view.former.get(node)])
        keys.learnAll(life?.certificates ?? []);
      outcome = keys.check(spec.placement, claims);
    }
    return outcome === "unknown-key" ? undefined : typeof outcome !== "string";
  }

  view.isPlaced = (copy) => {
    const known = checked.get(copy);
    if (known !== undefined) return known;
    const isPlaced = check(copy);
    // The certificate of its signer may still come.
    if (isPlaced === undefined) return false;
    checked.set(copy, isPlaced);
    const { instanceId, incarnation } = copy.spec;
    if (!isPlaced)
      log.warn(
        { node: copy.nodeId, instanceId, incarnation },
        "a node states an instance that nobody put there",
      );
    return isPlaced;
  };
}
