import { z } from "zod";
import { Failure } from "../protocol/errors.ts";
import { KeyText } from "../protocol/credentials.ts";
import { Id } from "../protocol/instance-spec.ts";
import { isSignedBy, type SigningKey, type VerifyingKey } from "./keys.ts";

/** What a root says of a control plane: that it may command the nodes of that lattice, with that key, until then. */
export const CertificateClaims = z.strictObject({
  lattice: Id,
  controlPlane: Id,
  key: KeyText,
  /** ISO 8601. */
  until: z.iso.datetime(),
});
export type CertificateClaims = z.infer<typeof CertificateClaims>;

/** Keeps a signature of one kind of text from being taken for one of another kind. */
const domain = "wasmatrix certificate v1\n";

/** A certificate as text: the claims and the root's signature, both base64url, with a dot between them. */
export function issueCertificate(root: SigningKey, claims: CertificateClaims): string {
  const body = Buffer.from(JSON.stringify(claims)).toString("base64url");
  return `${body}.${root.sign(Buffer.from(domain + body)).toString("base64url")}`;
}

/** The claims of a certificate that one of the roots signed for this lattice; PERMISSION_DENIED unless it counts now. */
export function readCertificate(
  text: string,
  roots: readonly VerifyingKey[],
  { lattice, nowMs }: { lattice: string; nowMs: number },
): CertificateClaims {
  const [body = "", signature = ""] = text.split(".", 2);
  const signed = Buffer.from(domain + body);
  const signatureBytes = Buffer.from(signature, "base64url");
  if (!roots.some((root) => isSignedBy(root, signed, signatureBytes)))
    throw untrusted("no root that is trusted here has signed it");
  const claims = CertificateClaims.safeParse(parsed(body));
  if (!claims.success) throw untrusted("it does not say what a certificate says");
  if (claims.data.lattice !== lattice) throw untrusted(`it is for lattice ${claims.data.lattice}`);
  if (Date.parse(claims.data.until) <= nowMs) throw untrusted(`it ended at ${claims.data.until}`);
  return claims.data;
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(Buffer.from(body, "base64url").toString("utf8"));
  } catch {
    return undefined;
  }
}

function untrusted(why: string): Failure {
  return new Failure("PERMISSION_DENIED", `the certificate of a control plane does not count: ${why}`, {
    fix: "Give it credentials that the root of this lattice signed: wasmatrix auth add control-plane <id>",
  });
}
