import type { ControlPlaneTrust } from "../../actors/control-plane/signed-work.ts";
import { issueCertificate } from "../../src/trust/certificate.ts";
import { generateKeyPair, type KeyPair, signingKeyFrom } from "../../src/trust/keys.ts";

/** Roots of a lattice, and what they certify. */
export interface TestTrust {
  /** Public keys that all parts trust. */
  readonly roots: readonly string[];
  /** A new key for a control plane, certified by one of them: the first unless said otherwise, for a day unless said. */
  controlPlane(id: string, how?: { root?: number; until?: string; lattice?: string }): ControlPlaneTrust;
}

/** Makes so many roots, of keys that nobody else has unless it is told where to take them from. */
export function createTestTrust(count = 2, nextPair: () => KeyPair = generateKeyPair): TestTrust {
  const pairs = Array.from({ length: count }, () => nextPair());
  const roots = pairs.map(({ key }) => key);
  return {
    roots,
    controlPlane(id, { root = 0, until = "2099-01-01T00:00:00Z", lattice = "default" } = {}) {
      const { seed, key } = nextPair();
      const claims = { lattice, controlPlane: id, key, until };
      const certificate = issueCertificate(signingKeyFrom(pairs[root]?.seed ?? ""), claims);
      return { roots, signing: { seed, certificate } };
    },
  };
}
