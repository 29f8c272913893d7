import type { Bus } from "../../src/bus/bus.ts";
import { validate } from "../../src/bus/serve.ts";
import type { Clock } from "../../src/clock.ts";
import type { Log } from "../../src/log.ts";
import { filterFor, subjectFor } from "../../src/protocol/addresses.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import type { GrantsRevoked } from "../../src/protocol/node-commands.ts";
import { createRevocations, type Revocations } from "../../src/trust/proof-revocations.ts";

/** What was revoked, by this control plane and by the others. */
export interface RevocationFeed {
  readonly revocations: Revocations;
  /** Tells every provider and control plane that these grants are over. */
  revoke(grantIds: readonly string[]): void;
  /** Tells all of them again, for somebody who has just begun to listen. */
  tellAgain(): void;
  stop(): void;
}

/** Listens to the others from now on. */
export function createRevocationFeed(world: {
  lattice: string;
  bus: Bus;
  clock: Clock;
  log: Log;
}): RevocationFeed {
  const { lattice, bus, clock, log } = world;
  const revocations = createRevocations();
  const subscription = bus.subscribe(filterFor("revoked", { lattice }), ({ data }) => {
    const { grantIds } = validate("revoked", decode(data).value) as GrantsRevoked;
    revocations.add(grantIds, clock.now());
  });

  function tell(grantIds: readonly string[]): void {
    try {
      bus.publish(subjectFor("revoked", { lattice }), encode({ grantIds }, "msgpack"));
    } catch (error) {
      // Remembered all the same; the nodes' own facts tell of it, and whoever comes back is told again.
      log.warn({ grants: grantIds.length, reason: String(error) }, "a revocation could not be broadcast");
    }
  }

  return {
    revocations,
    revoke(grantIds) {
      if (grantIds.length === 0) return;
      revocations.add(grantIds, clock.now());
      tell(grantIds);
    },
    tellAgain() {
      for (const grantIds of revocations.told()) tell(grantIds);
    },
    stop: () => subscription.unsubscribe(),
  };
}
