import { Buffer } from "node:buffer";
import { proofLimits } from "../limits.ts";
import type { Assignment } from "../protocol/instance-spec.ts";
import { isSignedBy, type SigningKey, type VerifyingKey } from "./keys.ts";

/** Which instance a grant is for: one life of it, on one node. */
export interface GrantHolderClaims {
  readonly lattice: string;
  readonly node: string;
  readonly instanceId: string;
  readonly incarnation: number;
  /** What data is scoped by: the name that instances share, or the instance id where there is none. */
  readonly name: string;
}

/** Everything that a proof vouches for, beside its own grant id and end. */
export interface GrantClaims extends GrantHolderClaims {
  readonly assignment: Assignment;
}

/** The parts of a proof, as its text has them. Nothing of it is checked yet. */
export interface ReadProof {
  /** Stays the same while the proof is renewed and the instance is moved: what is revoked is this. */
  readonly grantId: string;
  /** Ms since 1970, by the clock of the signer. */
  readonly expiresMs: number;
  /** Which key it says that signed it; see `keyIdOf`. */
  readonly keyId: string;
  readonly signature: Uint8Array;
}

const domain = "wasmatrix proof v1";
const form = /^1\.([a-z0-9]{1,32})\.([0-9a-z]{1,9})\.([A-Za-z0-9_-]{11})\.([A-Za-z0-9_-]{86})$/;

/**
 * A proof as text, at most 130 characters: `1.<grantId>.<end>.<keyId>.<signature>`, the end in ms to the base of 36, an
 * ed25519 signature in base64url. What it vouches for is not in it: whoever checks it says what that should be.
 */
export function issueProof(
  key: SigningKey,
  claims: GrantClaims,
  { grantId, expiresMs }: Pick<ReadProof, "grantId" | "expiresMs">,
): string {
  const signature = key.sign(signedText(claims, grantId, expiresMs)).toString("base64url");
  const proof = `1.${grantId}.${expiresMs.toString(36)}.${keyIdOf(key.key)}.${signature}`;
  if (!form.test(proof)) throw new Error(`${grantId} cannot be the id of a grant`);
  return proof;
}

/** The parts of a proof; undefined for any text that is not one. */
export function readProof(text: string | undefined): ReadProof | undefined {
  if (text === undefined || text.length > proofLimits.proofCharactersMax) return undefined;
  const [, grantId, expires, keyId, signatureText] = form.exec(text) ?? [];
  if (grantId === undefined || expires === undefined || keyId === undefined || signatureText === undefined)
    return undefined;
  const expiresMs = Number.parseInt(expires, 36);
  const signature = Buffer.from(signatureText, "base64url");
  // One proof has one text: other spellings of a number or of the last bits would be other proofs of the same.
  const isCanonical = expiresMs.toString(36) === expires && signature.toString("base64url") === signatureText;
  return isCanonical ? { grantId, expiresMs, keyId, signature } : undefined;
}

/** Whether that key signed exactly these claims; about 140 µs. */
export function isProofOf(proof: ReadProof, claims: GrantClaims, key: VerifyingKey): boolean {
  return isSignedBy(key, signedText(claims, proof.grantId, proof.expiresMs), proof.signature);
}

/** By what a proof names its key: 66 bits, for those that a root has certified are told apart by them, not trusted. */
export function keyIdOf(key: string): string {
  return key.slice(0, 11);
}

/** JSON of a list is the same text only for the same values; the order of settings does not matter, so it is fixed. */
function signedText(claims: GrantClaims, grantId: string, expiresMs: number): Buffer {
  const { lattice, node, instanceId, incarnation, name, assignment } = claims;
  const { capabilityId, providerType, provider = providerType, permissions, config } = assignment;
  const settings = Object.entries(config).toSorted(([one], [other]) => (one < other ? -1 : 1));
  const holder = [lattice, node, instanceId, incarnation, name];
  const grant = [capabilityId, providerType, provider, permissions, settings];
  return Buffer.from(JSON.stringify([domain, holder, grant, grantId, expiresMs]));
}
