/**
 * The JetStream KV bucket of a bucket of ours, `lattice/name`. Both ids may contain every character that JetStream
 * allows in a bucket name, so no separator could part them: the length of the first one does.
 */
export function natsBucketName(bucket: string): string {
  const slash = bucket.indexOf("/");
  return `wasmatrix_${slash}_${bucket.slice(0, slash)}_${bucket.slice(slash + 1)}`;
}

const plain = /^[A-Za-z0-9_-]$/;

/**
 * A key of ours as one of JetStream: its parts between slashes become tokens, so that the server can filter by
 * them, and each byte of UTF-8 but letters, digits, `-` and `_` becomes `=` and two digits, `=` alone an empty part.
 * At most three times as long: with 1,536 bytes it fits into a control line of the server, 4,096 by default.
 */
export function natsKey(key: string): string {
  return key.split("/").map(token).join(".");
}

/** The key that {@link natsKey} made this of; undefined for one that it never makes and others wrote. */
export function keyOfNats(encoded: string): string | undefined {
  const key = encoded.split(".").map(part).join("/");
  return natsKey(key) === encoded ? key : undefined;
}

/** What a listing asks the server for: `>` or the tokens that every key with this prefix begins with, and `.>`. */
export function natsFilter(prefix: string): string {
  const whole = prefix.lastIndexOf("/");
  return whole === -1 ? ">" : `${natsKey(prefix.slice(0, whole))}.>`;
}

function part(token: string): string {
  const byteOf = (_: string, digits: string) => String.fromCharCode(Number.parseInt(digits, 16));
  const bytes = token === "=" ? "" : token.replaceAll(/=([0-9A-F]{2})/g, byteOf);
  return Buffer.from(bytes, "latin1").toString("utf8");
}

function token(part: string): string {
  if (part === "") return "=";
  let encoded = "";
  for (const byte of Buffer.from(part)) {
    const character = String.fromCharCode(byte);
    encoded += plain.test(character) ? character : `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}
