/** The product's version. */
export const productVersion = "0.2.0";

/**
 * The protocol's version, `major.minor`. The major one stands in every subject (`v1`); peers of another major
 * are refused with VERSION_MISMATCH, a newer minor may only add optional fields.
 */
export const protocolVersion = "1.0";
