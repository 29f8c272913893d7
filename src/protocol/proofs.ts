import { z } from "zod";
import { proofLimits } from "../limits.ts";

/** What a control plane signed of one grant of one instance; see src/trust/proof.ts. */
export const Proof = z.string().max(proofLimits.proofCharactersMax);

/** What says that somebody is a control plane; see src/trust/certificate.ts. */
export const CertificateText = z.string().max(proofLimits.certificateCharactersMax);

/** What all proofs of one grant have in common, however often they are renewed. */
export const GrantId = z.string().regex(/^[a-z0-9]{1,32}$/, "must be the id of a grant");
