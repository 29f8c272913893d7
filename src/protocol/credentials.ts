import { z } from "zod";
import { messageLimits } from "../limits.ts";
import { Failure } from "./errors.ts";
import { Id } from "./instance-spec.ts";
import { CertificateText } from "./proofs.ts";

/** A raw ed25519 key of 32 bytes as base64url text. */
export const KeyText = z.string().regex(/^[A-Za-z0-9_-]{43}$/, "must be 32 bytes in base64url");

/** The seed of a NATS user, as `nk -gen user` writes it. */
const NatsSeed = z.string().regex(/^SU[A-Z2-7]{56}$/, "must be the seed of a NATS user");

/** Who somebody is on the bus. */
export const RoleName = z.enum(["operator", "control-plane", "node", "provider", "observer"]);

/**
 * A credentials file: one identity of one lattice, with its secrets. Written by `wasmatrix auth`, read by whoever is
 * told `--creds`. The file is JSON, and nobody but its owner may read it.
 */
export const Credentials = z.strictObject({
  version: z.literal(1),
  lattice: Id,
  role: RoleName,
  id: Id,
  /** Signs in to the bus as this identity. */
  nats: NatsSeed,
  /** Signs in for what providers do outside the lattice's own subjects: topics of applications, JetStream. */
  application: NatsSeed.optional(),
  /** Providers that it may run (see roles.ts), so that it says so itself instead of being refused by the bus. */
  hosts: z
    .array(z.string().max(messageLimits.providerKindCharactersMax))
    .max(messageLimits.hostsMax)
    .optional(),
  /** Public keys of those who may say who is a control plane; several while they are being replaced. */
  roots: z.array(KeyText).min(1).max(messageLimits.trustRootsMax),
  /** What a control plane signs with, and the certificate that says that it may. */
  signing: z.strictObject({ seed: KeyText, certificate: CertificateText }).optional(),
});
export type Credentials = z.infer<typeof Credentials>;

/** The credentials in the text of such a file; undefined where it is not JSON, but a seed or a JWT say. INVALID_REQUEST for JSON of another form. */
export function credentialsIn(text: string): Credentials | undefined {
  if (!text.trimStart().startsWith("{")) return undefined;
  const parsed = Credentials.safeParse(json(text));
  if (parsed.success) return parsed.data;
  // What is wrong may be a secret that was cut short: only the name of its field is shown.
  const fields = [...new Set(parsed.error.issues.map((issue) => issue.path.join(".").slice(0, 64)))].slice(
    0,
    5,
  );
  throw new Failure("INVALID_REQUEST", "these credentials are not what `wasmatrix auth` writes", {
    fix: "Have them written again: wasmatrix auth rotate <role> <id>",
    details: { fields },
  });
}

/** The part of the inboxes that belongs to one identity. */
export function inboxPrefixOf(role: Credentials["role"] | "application", id: string): string {
  return `_INBOX.${role}.${id}`;
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
