import fc from "fast-check";
import pino from "pino";
import { expect, test } from "vitest";
import { createLatticeWatch } from "../../actors/lattice-watch/lattice-watch.ts";
import { createProofs } from "../../actors/provider/proofs.ts";
import { proofLimits } from "../../src/limits.ts";
import { subjectFor } from "../../src/protocol/addresses.ts";
import { encode } from "../../src/protocol/codec.ts";
import type { Assignment } from "../../src/protocol/instance-spec.ts";
import { issueCertificate } from "../../src/trust/certificate.ts";
import { generateKeyPair, signingKeyFrom } from "../../src/trust/keys.ts";
import { type GrantClaims, issueProof, readProof } from "../../src/trust/proof.ts";
import { createProofKeys } from "../../src/trust/proof-keys.ts";
import { startMemoryServer } from "../support/memory-bus.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const nowMs = 1_800_000_000_000;
const root = generateKeyPair();
const signer = generateKeyPair();
const key = signingKeyFrom(signer.seed);
const certificateOf = (pair: { key: string }, { until = "2099-01-01T00:00:00Z", lattice = "default" } = {}) =>
  issueCertificate(signingKeyFrom(root.seed), { lattice, controlPlane: "cp", key: pair.key, until });
const certificate = certificateOf(signer);
const knownKeys = (...certificates: string[]) => {
  const keys = createProofKeys({ lattice: "default", roots: [root.key] });
  keys.learnAll(certificates);
  return keys;
};
const keys = knownKeys(certificate);

const id = fc.stringMatching(/^[A-Za-z0-9]{1,8}$/);
const anyText = fc.string({ unit: "binary", maxLength: 8 });
const assignment: fc.Arbitrary<Assignment> = fc.record(
  {
    capabilityId: id,
    providerType: id,
    provider: id,
    permissions: fc.array(anyText, { minLength: 1, maxLength: 4 }),
    config: fc.dictionary(anyText, anyText, { maxKeys: 4 }),
  },
  { requiredKeys: ["capabilityId", "providerType", "permissions", "config"] },
);
const claims: fc.Arbitrary<GrantClaims> = fc.record({
  lattice: fc.constant("default"),
  node: id,
  instanceId: id,
  incarnation: fc.integer({ min: 1, max: 99 }),
  name: id,
  assignment,
});
const grantId = fc.stringMatching(/^[a-z0-9]{1,32}$/);
const expiresMs = fc.integer({ min: nowMs, max: nowMs + proofLimits.proofMs });

/** What two claims are equal in, told by hand and not by the code under test. */
const meaning = ({ assignment: grant, ...holder }: GrantClaims) => ({
  ...holder,
  grant: { ...grant, provider: grant.provider ?? grant.providerType },
});

test("P4, P17: a proof vouches for exactly what was signed, whatever the order of its settings, and fits its limit", () => {
  fc.assert(
    fc.property(claims, grantId, expiresMs, (one, grant, expires) => {
      const proof = issueProof(key, one, { grantId: grant, expiresMs: expires });
      expect(keys.check(proof, one)).toMatchObject({ grantId: grant, expiresMs: expires });
      const config = Object.fromEntries(Object.entries(one.assignment.config).toReversed());
      const provider = one.assignment.provider ?? one.assignment.providerType;
      const same = { ...one, assignment: { ...one.assignment, config, provider } };
      expect(keys.check(proof, same)).toMatchObject({ grantId: grant });
      const usual = issueProof(key, one, {
        grantId: grant.slice(0, proofLimits.grantIdCharacters),
        expiresMs: expires,
      });
      expect(usual.length).toBeLessThanOrEqual(proofLimits.proofCharactersMax);
    }),
    { numRuns: 300 },
  );
});

test("P4, P17: no proof of one grant vouches for another, in whatever they differ", () => {
  const changes = fc.tuple(claims, claims, fc.constantFrom(...fieldsOf())).map(([one, other, field]) => ({
    one,
    other: field.startsWith("assignment.")
      ? {
          ...one,
          assignment: { ...one.assignment, [field.slice(11)]: other.assignment[field.slice(11) as "config"] },
        }
      : { ...one, [field]: other[field as "node"] },
  }));
  fc.assert(
    fc.property(changes, grantId, expiresMs, ({ one, other }, grant, expires) => {
      fc.pre(JSON.stringify(meaning(one)) !== JSON.stringify(meaning(other as GrantClaims)));
      const proof = issueProof(key, one, { grantId: grant, expiresMs: expires });
      const same = JSON.stringify(sorted(one)) === JSON.stringify(sorted(other as GrantClaims));
      expect(typeof keys.check(proof, other as GrantClaims)).toBe(same ? "object" : "string");
    }),
    { numRuns: 500 },
  );
});

test("P4, P17: no text but the one that was signed is a proof: not with a character changed, added or left out", () => {
  const characters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_. =";
  const change = fc.record({
    at: fc.nat(),
    how: fc.constantFrom("replace", "insert", "delete"),
    by: fc.constantFrom(...characters.split("")),
  });
  fc.assert(
    fc.property(claims, grantId, expiresMs, change, (one, grant, expires, { at, how, by }) => {
      const proof = issueProof(key, one, { grantId: grant, expiresMs: expires });
      const place = at % (proof.length + 1);
      const end = how === "insert" ? place : place + 1;
      const changed = proof.slice(0, place) + (how === "delete" ? "" : by) + proof.slice(end);
      fc.pre(changed !== proof);
      expect(typeof keys.check(changed, one)).toBe("string");
    }),
    { numRuns: 500 },
  );
});

test("P4, P17: any text is read without an error, and nothing but a proof is one", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ maxLength: 200 }), fc.constant("1.a.b.c.d")), claims, (text, one) => {
      expect(readProof(text)).toBeUndefined();
      expect(keys.check(text, one)).toBe("none");
    }),
  );
});

test("P4, P17: keys count only under a certificate of a root, for this lattice, that had not ended at the signing", () => {
  const stranger = generateKeyPair();
  const ofStranger = issueCertificate(signingKeyFrom(stranger.seed), {
    lattice: "default",
    controlPlane: "cp",
    key: signer.key,
    until: "2099-01-01T00:00:00Z",
  });
  const ended = certificateOf(signer, { until: new Date(nowMs - proofLimits.proofMs - 1).toISOString() });
  const endedSince = certificateOf(signer, { until: new Date(nowMs).toISOString() });
  const foreign = certificateOf(signer, { lattice: "other" });
  fc.assert(
    fc.property(claims, grantId, (one, grant) => {
      const proof = issueProof(key, one, { grantId: grant, expiresMs: nowMs + proofLimits.proofMs - 1 });
      expect(knownKeys().check(proof, one)).toBe("unknown-key");
      expect(knownKeys(ofStranger).check(proof, one)).toBe("unknown-key");
      expect(knownKeys(foreign).check(proof, one)).toBe("unknown-key");
      expect(knownKeys(ended).check(proof, one)).toBe("bad-signature");
      expect(knownKeys(endedSince).check(proof, one)).toMatchObject({ grantId: grant });
      expect(knownKeys(ended, endedSince).check(proof, one)).toMatchObject({ grantId: grant });
    }),
  );
});

test("P4, P17: a provider takes a proof until its end, and no longer once it was revoked or when it ends too late to be real", async () => {
  const clock = virtualClock(nowMs);
  const server = startMemoryServer({ clock });
  const bus = server.connect();
  const plane = server.connect();
  const log = pino({ level: "silent" });
  const watch = createLatticeWatch({ lattice: "default", bus, clock, log });
  const proofs = createProofs({ lattice: "default", bus, clock, log, watch, keys: knownKeys(certificate) });
  proofs.start();
  const beat = async () => {
    const said = { controlPlane: "cp", epoch: 1, ready: true, certificate };
    plane.publish(subjectFor("plane.beat", { lattice: "default", controlPlane: "cp" }), encode(said, "json"));
    await clock.advance(0);
  };
  const ages = fc.integer({ min: -3 * proofLimits.clockSkewMs, max: 2 * proofLimits.proofMs });
  let grants = 0;
  await fc.assert(
    fc.asyncProperty(claims, ages, fc.boolean(), async (one, ageMs, isRevoked) => {
      await beat();
      grants += 1;
      const expires = clock.now() + proofLimits.proofMs - ageMs;
      const proof = issueProof(key, one, { grantId: `g${grants}`, expiresMs: expires });
      const grant = { ...one.assignment, proof };
      const { lattice: _, assignment: __, ...holder } = one;
      const isReal = -ageMs <= proofLimits.clockSkewMs;
      const counts = isReal && ageMs < proofLimits.proofMs;
      const expected = !counts ? "none" : ageMs > proofLimits.proofMs / 2 ? "due" : "counts";
      expect(proofs.standingOf(holder, grant)).toBe(expected);
      if (!isRevoked) return;
      plane.publish(
        subjectFor("revoked", { lattice: "default" }),
        encode({ grantIds: [`g${grants}`] }, "msgpack"),
      );
      await clock.advance(0);
      expect(proofs.standingOf(holder, grant)).toBe("none");
      const renewed = issueProof(key, one, {
        grantId: `g${grants}`,
        expiresMs: clock.now() + proofLimits.proofMs,
      });
      expect(proofs.standingOf(holder, { ...one.assignment, proof: renewed })).toBe("none");
    }),
    { numRuns: 200 },
  );
  proofs.stop();
});

function fieldsOf() {
  const grant = ["capabilityId", "providerType", "provider", "permissions", "config"] as const;
  return [
    "node",
    "instanceId",
    "incarnation",
    "name",
    ...grant.map((field) => `assignment.${field}` as const),
  ] as const;
}

function sorted(one: GrantClaims): unknown {
  const { grant, ...holder } = meaning(one);
  const config = Object.entries(grant.config).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const { capabilityId, providerType, provider, permissions } = grant;
  return [holder, capabilityId, providerType, provider, permissions, config];
}
