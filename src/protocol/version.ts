/** The product's version. */
export const productVersion = "0.3.3";

/**
 * The protocol's version, `major.minor`. The major one stands in every subject (`v1`); peers of another major
 * are refused with VERSION_MISMATCH, a newer minor may only add optional fields.
 */
export const protocolVersion = "1.1";

/** Whether a peer of that version can be worked with: its major one is ours, whatever its minor one is. */
export function isOurMajor(version: string): boolean {
  const [, major] = /^(\d{1,9})\.\d{1,9}$/.exec(version) ?? [];
  return major !== undefined && major === protocolVersion.split(".")[0];
}
