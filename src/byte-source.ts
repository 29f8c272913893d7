/** A stream of bytes that is pulled: its reader sets the pace. */
export interface ByteSource {
  /**
   * The next bytes, at most `bytesMax` and at least 1; undefined at the end, and from then on. One read at a time.
   * Rejects with a `Failure` when the stream broke: what was read before is then not the whole.
   */
  read(bytesMax: number): Promise<Uint8Array | undefined>;
  /** Gives it up; whoever writes is told. A second cancel does nothing. */
  cancel(reason: string): void;
}

/** Where bodies go that do not fit one message: served here, read elsewhere. */
export interface ByteStreams {
  /** Offers a source to whoever gets the reference; it is read once. */
  serve(source: ByteSource): string;
  /** What is served elsewhere. Throws INVALID_REQUEST for what is not a reference. */
  open(ref: string): ByteSource;
}
