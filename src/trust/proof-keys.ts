import { Buffer } from "node:buffer";
import { proofLimits, signedCommandLimits } from "../limits.ts";
import { Failure } from "../protocol/errors.ts";
import { readCertificate } from "./certificate.ts";
import { verifyingKeyFrom, type VerifyingKey } from "./keys.ts";
import { type GrantClaims, isProofOf, keyIdOf, readProof, type ReadProof } from "./proof.ts";

/** A control plane's key that a root has certified. */
export interface CertifiedKey {
  readonly key: VerifyingKey;
  readonly controlPlane: string;
  readonly certificate: string;
  /** Ms since 1970. */
  readonly untilMs: number;
}

/** The keys of control planes, as far as their certificates were seen. */
export interface ProofKeys {
  /** Takes a certificate that a root signed for this lattice, ended or not; PERMISSION_DENIED for any other text. */
  learn(certificate: string): CertifiedKey;
  /** The same for certificates from others, of which one that is no good is nobody's failure. */
  learnAll(certificates: Iterable<string>): void;
  /** The certificates of those who signed these proofs. */
  certificatesOf(proofs: Iterable<string | undefined>): string[];
  /**
   * The proof in that text if it vouches for exactly these claims, under a certificate that had not ended when it was
   * signed. Its own end is for the caller to judge. Else why not: `unknown-key` may change with the next certificate.
   */
  check(text: string | undefined, claims: GrantClaims): ReadProof | "none" | "unknown-key" | "bad-signature";
}

/** Knows no key yet. The roots are public keys; throws for a text that is not one. */
export function createProofKeys({
  lattice,
  roots,
}: {
  lattice: string;
  roots: readonly string[];
}): ProofKeys {
  const rootKeys = roots.map(verifyingKeyFrom);
  const byText = new Map<string, CertifiedKey>();
  const byKeyId = new Map<string, CertifiedKey>();

  function learn(certificate: string): CertifiedKey {
    const known = byText.get(certificate);
    if (known !== undefined) return known;
    assertCanonical(certificate);
    // Its end is judged where it is used: a proof outlives the certificate of its signer.
    const claims = readCertificate(certificate, rootKeys, { lattice, nowMs: 0 });
    const { key: text, controlPlane, until } = claims;
    const certified = { key: verifyingKeyFrom(text), controlPlane, certificate, untilMs: Date.parse(until) };
    byText.set(certificate, certified);
    const before = byKeyId.get(keyIdOf(text));
    // A key may be certified again, for longer; what counts is the latest end.
    if (before === undefined || before.untilMs < certified.untilMs) byKeyId.set(keyIdOf(text), certified);
    if (byText.size > signedCommandLimits.certificatesKnownMax) forgetOldest();
    return certified;
  }

  function forgetOldest(): void {
    const [oldest] = byText.values();
    if (oldest === undefined) return;
    byText.delete(oldest.certificate);
    const keyId = keyIdOf(oldest.key.key);
    if (byKeyId.get(keyId) === oldest) byKeyId.delete(keyId);
  }

  return {
    learn,
    learnAll(certificates) {
      for (const certificate of certificates) {
        try {
          learn(certificate);
        } catch {
          // Whoever shows it gains nothing by it.
        }
      }
    },
    certificatesOf(proofs) {
      const found = new Set<string>();
      for (const text of proofs) {
        const signer = byKeyId.get(readProof(text)?.keyId ?? "");
        if (signer !== undefined && found.size < proofLimits.certificatesMax) found.add(signer.certificate);
      }
      return [...found];
    },
    check(text, claims) {
      const proof = readProof(text);
      if (proof === undefined) return "none";
      const signer = byKeyId.get(proof.keyId);
      if (signer === undefined) return "unknown-key";
      const signedAtMs = proof.expiresMs - proofLimits.proofMs;
      return signedAtMs < signer.untilMs && isProofOf(proof, claims, signer.key) ? proof : "bad-signature";
    },
  };
}

/** One certificate has one text: with others of the same, somebody could drive out all that are known. */
function assertCanonical(certificate: string): void {
  const [body = "", signature = ""] = certificate.split(".", 2);
  const text = `${body}.${Buffer.from(signature, "base64url").toString("base64url")}`;
  if (certificate.length <= proofLimits.certificateCharactersMax && text === certificate) return;
  throw new Failure(
    "PERMISSION_DENIED",
    "the certificate of a control plane does not count: it is malformed",
    {
      fix: "Send it as `wasmatrix auth` wrote it.",
    },
  );
}
