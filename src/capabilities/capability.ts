import type { ByteStreams } from "../byte-source.ts";

/** On whose behalf an operation is done: what a provider gives is scoped to it. */
export interface CapabilityScope {
  /** A legal id, as are the next two. */
  readonly lattice: string;
  readonly instanceId: string;
  /** The name that instances share, or the instance id where there is none. */
  readonly name: string;
  /** The assignment's own configuration, set by the operator and never by the guest; for kv `bucket`. */
  readonly config: Readonly<Record<string, string>>;
  /** What the assignment permits, for those parts of an operation that its payload does not show: a redirect. */
  readonly permissions: readonly string[];
  /** Bodies that do not fit the payload or the answer. */
  readonly streams: ByteStreams;
  /** Tells, before the answer, of a permission that was used beside those that the payload shows; for the record. */
  readonly used?: (permission: string) => void;
}

/** A grant to a provider, for as long as its instance lives and the grant stands. */
export interface GrantHolder extends Omit<CapabilityScope, "streams" | "used"> {
  readonly nodeId: string;
  readonly incarnation: number;
  /** How the instance calls the grant. */
  readonly capabilityId: string;
}

/**
 * One implementation of a capability: memory, or something that lasts. It knows nothing of the bus or of
 * permissions; its caller has checked them. `docs/providers.md` tells how to write one.
 */
export interface Capability {
  readonly providerType: string;
  /**
   * Performs one operation. Payload and answer are maps in MessagePack, or in JSON when the payload is JSON.
   * Neither keeps the payload nor changes it; the answer belongs to the caller. Calls may overlap, and each
   * operation is atomic: none sees another half done.
   *
   * Rejects with a `Failure`, and with nothing else: INVALID_REQUEST for an unknown operation or a payload that is
   * not of its form, RESOURCE_EXHAUSTED for a limit, PROVIDER_UNAVAILABLE once it is closed or its backend is gone.
   */
  call(scope: CapabilityScope, operation: string, payload: Uint8Array): Promise<Uint8Array>;
  /** Rejects with a `Failure` that says why it is not well: its backend is out of reach. Asked every few seconds. */
  check?(): Promise<void>;
  /**
   * Tells of every grant to it, now and whenever they change: what one has set up for a grant that is not in the list
   * any more must end. Called in order; must not throw.
   */
  granted?(holders: readonly GrantHolder[]): void;
  /** Ends it; calls in progress settle first, later ones are refused. A second close does nothing. */
  close(): Promise<void>;
}
