import type { Bus } from "../../src/bus/bus.ts";
import type { Clock } from "../../src/clock.ts";
import type { Log } from "../../src/log.ts";
import { Failure } from "../../src/protocol/errors.ts";
import type { ControlPlaneBeat } from "../../src/protocol/node-commands.ts";
import { type SigningKey, signingKeyFrom } from "../../src/trust/keys.ts";
import { createProofKeys, type ProofKeys } from "../../src/trust/proof-keys.ts";
import type { LatticeWatch } from "../lattice-watch/lattice-watch.ts";
import { trustPlacements } from "../lattice-watch/trust-placements.ts";
import { signCommands } from "./signed-commands.ts";
import { createSignedGrants, type SignedGrants } from "./signed-grants.ts";
import { createRevocationFeed } from "./signed-revocations.ts";

/** What a control plane is believed for. */
export interface ControlPlaneTrust {
  /** Public keys of those who may say who is a control plane. */
  readonly roots: readonly string[];
  readonly signing: { readonly seed: string; readonly certificate: string };
}

/** Everything that a control plane does with its key. */
export interface SignedWork {
  /** On it what nodes are told is signed. */
  readonly bus: Bus;
  readonly keys: ProofKeys;
  readonly grants: SignedGrants;
  revoke(grantIds: readonly string[]): void;
  /** Another control plane was heard; `isNew` when for the first time. */
  heardPeer(beat: ControlPlaneBeat, isNew: boolean): void;
  stop(): void;
}

/** Begins to sign. PERMISSION_DENIED where nodes with these roots would not believe it. */
export function createSignedWork(world: {
  lattice: string;
  bus: Bus;
  clock: Clock;
  log: Log;
  watch: LatticeWatch;
  trust: ControlPlaneTrust;
  /** Whether this one speaks where one of them has to. */
  leads: () => boolean;
}): SignedWork {
  const { lattice, bus, clock, log, watch, trust, leads } = world;
  const { certificate, seed } = trust.signing;
  const keys = createProofKeys({ lattice, roots: trust.roots });
  const key = signingKeyFrom(seed);
  assertBelievable(keys, key, certificate, clock.now());
  trustPlacements(watch.view, keys, log);
  const feed = createRevocationFeed({ lattice, bus, clock, log });
  const { revocations } = feed;
  const learnFrom = (nodeId: string) => keys.learnAll(watch.view.nodes.get(nodeId)?.certificates ?? []);
  // A life of a node takes its certificates with it; what it left behind is started again by them.
  const forgetters = [
    watch.onReplay(learnFrom),
    watch.onFact((fact) => {
      if (fact.kind === "node.trusted") keys.learnAll([fact.data.certificate]);
      // It knows nothing of what was revoked before it began.
      else if (fact.kind === "provider.available" && leads()) feed.tellAgain();
    }),
  ];
  return {
    bus: signCommands(bus, { view: watch.view, clock, key, certificate }),
    keys,
    grants: createSignedGrants({ lattice, clock, log, key, certificate, keys, revocations }),
    revoke: (grantIds) => feed.revoke(grantIds),
    heardPeer(beat, isNew) {
      if (beat.certificate !== undefined) keys.learnAll([beat.certificate]);
      if (isNew && leads()) feed.tellAgain();
    },
    stop() {
      for (const forget of forgetters) forget();
      feed.stop();
    },
  };
}

function assertBelievable(keys: ProofKeys, key: SigningKey, certificate: string, nowMs: number): void {
  const own = keys.learn(certificate);
  const problem =
    own.key.key !== key.key
      ? "is that of another key"
      : own.untilMs <= nowMs
        ? `ended at ${new Date(own.untilMs).toISOString()}`
        : undefined;
  if (problem === undefined) return;
  throw new Failure("PERMISSION_DENIED", `the certificate of this control plane ${problem}`, {
    fix: "Give it new credentials: wasmatrix auth add control-plane <id>",
  });
}
