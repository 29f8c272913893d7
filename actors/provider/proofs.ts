import { ask } from "../../src/bus/ask.ts";
import type { Bus, BusMessage, Subscription } from "../../src/bus/bus.ts";
import { type AnswerOf, validate } from "../../src/bus/serve.ts";
import type { Clock } from "../../src/clock.ts";
import { proofLimits, providerLimits } from "../../src/limits.ts";
import type { Log } from "../../src/log.ts";
import { filterFor } from "../../src/protocol/addresses.ts";
import { decode } from "../../src/protocol/codec.ts";
import { asFailure } from "../../src/protocol/errors.ts";
import type { ProvenAssignment } from "../../src/protocol/instance-spec.ts";
import type { ControlPlaneBeat, GrantsRevoked } from "../../src/protocol/node-commands.ts";
import type { GrantHolderClaims } from "../../src/trust/proof.ts";
import type { ProofKeys } from "../../src/trust/proof-keys.ts";
import { createRevocations } from "../../src/trust/proof-revocations.ts";
import type { LatticeWatch } from "../lattice-watch/lattice-watch.ts";
import { trustPlacements } from "../lattice-watch/trust-placements.ts";
import { createPlanePresence } from "./proofs-in-silence.ts";

/** Whether a grant counts: `due` does, and is to be renewed; `none` means that no control plane vouches for it now. */
export type Standing = "counts" | "due" | "none";

/** What the providers of one host know of proofs. */
export interface Proofs {
  /** Begins to listen to control planes; a second start does nothing. */
  start(): void;
  stop(): void;
  /** A map lookup for a grant that was checked before, and about 150 µs for another one. */
  standingOf(holder: Omit<GrantHolderClaims, "lattice">, assignment: ProvenAssignment): Standing;
  /** Takes over what a node says of its instance: newer proofs of the grants that the facts told of. */
  adopt(node: string, said: AnswerOf<"node.capability.list">): void;
  /** Asks a node for newer proofs in the background; not again for a while. */
  refresh(node: string, instanceId: string): void;
  /** Calls back when grants may count that did not, or the other way round. */
  onChange(listener: () => void): () => void;
}

interface Checked {
  readonly text: string | undefined;
  readonly grantId: string;
  readonly expiresMs: number;
}

/** Knows no proof yet. */
export function createProofs(world: {
  lattice: string;
  bus: Bus;
  clock: Clock;
  log: Log;
  watch: LatticeWatch;
  keys: ProofKeys;
}): Proofs {
  const { lattice, bus, clock, log, watch, keys } = world;
  trustPlacements(watch.view, keys, log);
  const revocations = createRevocations();
  const planes = createPlanePresence(clock);
  const listeners = new Set<() => void>();
  // An assignment in the view, or in an answer, is of one life of one instance on one node: nothing else has to be compared.
  const checked = new WeakMap<ProvenAssignment, Checked | "bad-signature">();
  const askedAt = new Map<string, number>();
  let subscriptions: Subscription[] = [];

  function check(
    holder: Omit<GrantHolderClaims, "lattice">,
    assignment: ProvenAssignment,
    text: string | undefined,
  ): Checked | "bad-signature" | undefined {
    const claims = { lattice, ...holder, assignment };
    let outcome = keys.check(text, claims);
    if (outcome === "unknown-key") {
      keys.learnAll(watch.view.nodes.get(holder.node)?.certificates ?? []);
      outcome = keys.check(text, claims);
    }
    if (outcome === "none" || outcome === "unknown-key") return undefined;
    if (outcome === "bad-signature") return outcome;
    return { text, grantId: outcome.grantId, expiresMs: outcome.expiresMs };
  }

  function standingOf(holder: Omit<GrantHolderClaims, "lattice">, assignment: ProvenAssignment): Standing {
    let known = checked.get(assignment);
    if (known === undefined) {
      known = check(holder, assignment, assignment.proof);
      if (known !== undefined) checked.set(assignment, known);
    }
    if (known === undefined || known === "bad-signature" || revocations.has(known.grantId)) return "none";
    const leftMs = known.expiresMs - clock.now();
    if (leftMs > proofLimits.proofMs + proofLimits.clockSkewMs) return "none";
    if (leftMs <= 0 && !planes.lets(known.expiresMs)) return "none";
    return leftMs < proofLimits.proofMs / 2 ? "due" : "counts";
  }

  function adopt(node: string, said: AnswerOf<"node.capability.list">): void {
    keys.learnAll(said.certificates ?? []);
    const instance = watch.view.nodes.get(node)?.instances.get(said.instanceId);
    if (instance === undefined || instance.spec.incarnation !== said.incarnation) return;
    const { instanceId, incarnation, name = instanceId } = instance.spec;
    let isChanged = false;
    for (const { capabilityId, proof } of said.capabilities) {
      const assignment = instance.assignments.get(capabilityId);
      if (assignment === undefined) continue;
      const before = checked.get(assignment);
      if (before !== undefined && before !== "bad-signature" && before.text === proof) continue;
      const now = check({ node, instanceId, incarnation, name }, assignment, proof);
      if (now === undefined || now === "bad-signature") continue;
      checked.set(assignment, now);
      isChanged = true;
    }
    if (isChanged) tell();
  }

  function tell(): void {
    for (const listener of listeners) listener();
  }

  function hearRevoked({ data }: BusMessage): void {
    const { grantIds } = validate("revoked", decode(data).value) as GrantsRevoked;
    revocations.add(grantIds, clock.now());
    tell();
  }

  function hearBeat({ data }: BusMessage): void {
    const beat = validate("plane.beat", decode(data).value) as ControlPlaneBeat;
    if (beat.certificate !== undefined) keys.learnAll([beat.certificate]);
    // One that does not know the lattice yet, or ends, renews nothing.
    if (beat.ready) planes.heard();
  }

  return {
    start() {
      if (subscriptions.length > 0) return;
      planes.begin();
      subscriptions = [
        bus.subscribe(filterFor("revoked", { lattice }), hearRevoked),
        bus.subscribe(filterFor("plane.beat", { lattice }), hearBeat),
      ];
    },
    stop() {
      for (const subscription of subscriptions) subscription.unsubscribe();
      listeners.clear();
    },
    standingOf,
    adopt,
    refresh(node, instanceId) {
      const key = `${node} ${instanceId}`;
      const now = clock.now();
      if ((askedAt.get(key) ?? Number.NEGATIVE_INFINITY) + proofLimits.renewEveryMs > now) return;
      for (const [old, atMs] of askedAt) {
        if (askedAt.size < providerLimits.askedGrantsMax && atMs + proofLimits.renewEveryMs > now) break;
        askedAt.delete(old);
      }
      // The oldest stand first, also of those that are asked for again.
      askedAt.delete(key);
      askedAt.set(key, now);
      const timeoutMs = providerLimits.assignmentQueryMs;
      ask(bus, "node.capability.list", { lattice, node }, { instanceId }, { timeoutMs }).then(
        (said) => adopt(node, said),
        (error: unknown) =>
          log.debug({ node, instanceId, reason: asFailure(error).message }, "no newer proofs were had"),
      );
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
