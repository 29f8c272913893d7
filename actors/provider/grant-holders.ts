import type { GrantHolder } from "../../src/capabilities/capability.ts";
import type { Clock } from "../../src/clock.ts";
import type { InstanceView, NodeView } from "../../src/lattice/view.ts";
import { providerLifeLimits } from "../../src/limits.ts";
import type { ProvenAssignment } from "../../src/protocol/instance-spec.ts";
import type { LatticeWatch } from "../lattice-watch/lattice-watch.ts";
import type { Proofs, Standing } from "./proofs.ts";

/** Everybody with a grant to one provider, as it is told to its capability. */
export interface GrantHolders {
  /** Leaves out what is on nodes that fell silent; to be called with each check. One that speaks again is back by itself. */
  look(): void;
  end(): void;
}

/** What is known of one life of a node. */
interface NodeHolders {
  readonly node: NodeView;
  readonly holders: Map<string, readonly GrantHolder[]>;
  isHeard: boolean;
}

/**
 * Tells `onHolders` who holds a grant to a provider: at once, and after each change, once for all the facts that are
 * read from the bus in one turn. Instances that have stopped hold none, nor do those of nodes that left or fell silent.
 */
export function watchGrantHolders(world: {
  lattice: string;
  provider: string;
  providerType: string;
  clock: Clock;
  watch: LatticeWatch;
  /** Where there have to be proofs, a grant without one that counts is none. */
  proofs?: Proofs | undefined;
  /** Whether the silence of a node says something about it: not while the bus is away. */
  hears: () => boolean;
  onHolders: (holders: readonly GrantHolder[]) => void;
}): GrantHolders {
  const { lattice, provider, providerType, clock, watch, proofs, hears, onHolders } = world;
  const nodes = new Map<string, NodeHolders>();
  /** Set from the start: what is found in the beginning is told at once. */
  let isTelling = true;
  let hasEnded = false;
  let heardSince = clock.now();
  let lookedAt = heardSince;

  function grantsOf(instance: InstanceView): readonly ProvenAssignment[] {
    if (instance.status === "stopped" || instance.assignments.size === 0) return [];
    return [...instance.assignments.values()].filter(
      (grant) => grant.providerType === providerType && (grant.provider ?? providerType) === provider,
    );
  }

  function standingOf({ nodeId, spec }: InstanceView, grant: ProvenAssignment): Standing {
    const { instanceId, incarnation, name = instanceId } = spec;
    return proofs?.standingOf({ node: nodeId, instanceId, incarnation, name }, grant) ?? "counts";
  }

  function holdersOf(instance: InstanceView): readonly GrantHolder[] {
    const { instanceId, name = instanceId, incarnation } = instance.spec;
    return grantsOf(instance)
      .filter((grant) => standingOf(instance, grant) !== "none")
      .map(({ capabilityId, config, permissions }) => ({
        lattice,
        instanceId,
        name,
        config,
        permissions,
        nodeId: instance.nodeId,
        incarnation,
        capabilityId,
      }));
  }

  /** Reads a node anew; what a replay says comes as another view of it. */
  function readNode(node: NodeView): void {
    const holders = new Map<string, readonly GrantHolder[]>();
    if (node.status !== "left")
      for (const instance of node.instances.values()) {
        const held = holdersOf(instance);
        if (held.length > 0) holders.set(instance.spec.instanceId, held);
      }
    const before = nodes.get(node.nodeId);
    nodes.set(node.nodeId, { node, holders, isHeard: true });
    if (before?.isHeard === true ? !isSame(before.holders, holders) : holders.size > 0) tellSoon();
  }

  function readInstance({ node, holders }: NodeHolders, instanceId: string): void {
    const instance = node.instances.get(instanceId);
    const held = instance === undefined ? [] : holdersOf(instance);
    const before = holders.get(instanceId) ?? [];
    if (JSON.stringify(before) === JSON.stringify(held)) return;
    if (held.length === 0) holders.delete(instanceId);
    else holders.set(instanceId, held);
    tellSoon();
  }

  /** Nobody calls for a route or a subscription: its proof is renewed from here, and its end is noticed here. */
  function lookAtProofs(known: NodeHolders): void {
    for (const [instanceId, instance] of known.node.instances) {
      const standings = grantsOf(instance).map((grant) => standingOf(instance, grant));
      if (standings.some((standing) => standing !== "counts")) proofs?.refresh(known.node.nodeId, instanceId);
      const counting = standings.filter((standing) => standing !== "none").length;
      if (counting !== (known.holders.get(instanceId)?.length ?? 0)) readInstance(known, instanceId);
    }
  }

  const lookAtAllProofs = () => {
    for (const known of nodes.values()) if (known.node.status !== "left") lookAtProofs(known);
  };

  function tellSoon(): void {
    if (isTelling) return;
    isTelling = true;
    queueMicrotask(() => {
      isTelling = false;
      if (!hasEnded) tell();
    });
  }

  function tell(): void {
    onHolders(
      [...nodes.values()].flatMap(({ holders, isHeard }) => (isHeard ? [...holders.values()].flat() : [])),
    );
  }

  const forgetFacts = watch.onFact((fact) => {
    const known = nodes.get(fact.node);
    const node = watch.view.nodes.get(fact.node);
    // Another life of the node, or a gap: `onChange` reads it as a whole.
    if (known === undefined || known.node !== node) return;
    const { instanceId, spec } = fact.data as { instanceId?: string; spec?: { instanceId: string } };
    const about = instanceId ?? spec?.instanceId;
    if (about !== undefined) readInstance(known, about);
  });
  const forgetChanges = watch.onChange((nodeId) => {
    const known = nodes.get(nodeId);
    const node = watch.view.nodes.get(nodeId);
    if (node === undefined) {
      if (nodes.delete(nodeId)) tellSoon();
    } else if (known?.node !== node || !known.isHeard || node.status === "left") readNode(node);
  });

  const forgetProofs = proofs?.onChange(lookAtAllProofs);
  for (const node of watch.view.nodes.values()) readNode(node);
  isTelling = false;
  tell();
  return {
    look() {
      const now = clock.now();
      // Whoever was asleep itself, or could not hear, must not take that for the silence of others.
      if (!hears() || now - lookedAt > 2 * providerLifeLimits.checkPeriodMs) heardSince = now;
      lookedAt = now;
      if (proofs !== undefined) lookAtAllProofs();
      for (const known of nodes.values()) {
        const silentMs = now - Math.max(known.node.lastHeardAt, heardSince);
        if (!known.isHeard || silentMs <= providerLifeLimits.silentNodeMs) continue;
        known.isHeard = false;
        if (known.holders.size > 0) tellSoon();
      }
    },
    end() {
      hasEnded = true;
      forgetFacts();
      forgetChanges();
      forgetProofs?.();
    },
  };
}

function isSame(
  one: ReadonlyMap<string, readonly GrantHolder[]>,
  other: ReadonlyMap<string, readonly GrantHolder[]>,
): boolean {
  return JSON.stringify([...one]) === JSON.stringify([...other]);
}
