import type { Bus } from "../../src/bus/bus.ts";
import type { ByteStreams } from "../../src/byte-source.ts";
import type { Capability } from "../../src/capabilities/capability.ts";
import type { Clock } from "../../src/clock.ts";
import type { Log } from "../../src/log.ts";
import type { ProviderKindInfo } from "../../src/protocol/facts.ts";

/** What a provider may touch of its host; `docs/providers.md` tells how to write one. */
export interface ProviderWorld {
  readonly lattice: string;
  /** The node or process that hosts it. */
  readonly nodeId: string;
  /** Its name on the lattice. */
  readonly provider: string;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  /** Bodies that do not fit a message, for what it sends by itself; an operation finds them in its scope. */
  readonly streams: ByteStreams;
  /** Says where it can be reached from outside: `http://127.0.0.1:8080`. Counts until it is available. */
  readonly announce: (address: string) => void;
  /** It cannot go on: it is closed, and its supervisor makes another one. Later calls of this do nothing. */
  readonly broken: (reason: string) => void;
  /** The bus refused a connection of its own something; becomes a fact, once a second for each subject. */
  readonly busRefused: (operation: "publish" | "subscribe", subject: string) => void;
  /** Messages for an instance were lost; becomes a fact. */
  readonly dropped: (instanceId: string, topic: string, count: number) => void;
}

/** What an operator set for a provider; its keys are those of its backend. */
export type ProviderConfig = Readonly<Record<string, string>>;

/**
 * Makes one capability, for one life of a provider. Rejects with a `Failure` that says what is missing; what it had
 * opened by then it closes itself. It may be made a second time while the first one still serves: an update.
 */
export type CreateCapability = (world: ProviderWorld, config: ProviderConfig) => Promise<Capability>;

/** One thing that a kind can be made of: memory, NATS, Redis. */
export interface ProviderBackend {
  readonly describe: string;
  /** The keys that its configuration may have; `route.*` stands for all that begin so. Without it any. */
  readonly configKeys?: readonly string[];
  /** Throws INVALID_REQUEST for a configuration that cannot work, before anything is done. */
  readonly checkConfig?: (config: ProviderConfig) => void;
  readonly create: CreateCapability;
}

/** A kind of provider that can be asked for. */
export interface ProviderKind {
  readonly kind: string;
  readonly providerType: string;
  readonly describe: string;
  /** The first is taken where none is asked for. */
  readonly backends: ReadonlyMap<string, ProviderBackend>;
}

/** A provider as somebody asks for it. */
export interface ProviderOrder {
  /** Its name; called like its type without one. */
  readonly provider?: string | undefined;
  readonly kind: string;
  readonly backend?: string | undefined;
  readonly config: ProviderConfig;
}

/** A provider that a host can run: what was asked for, found to be possible. */
export interface HostedProvider {
  readonly provider: string;
  readonly kind: string;
  readonly providerType: string;
  readonly backend: string;
  /** Never in a fact, a log or an answer: it may hold secrets. */
  readonly config: ProviderConfig;
  /** The command that asked for it. */
  readonly commandId?: string;
  readonly create: CreateCapability;
}

/** What a host can run. */
export interface ProviderCatalog {
  /** What it tells of itself in `node.joined`. */
  readonly kinds: readonly ProviderKindInfo[];
  /** Finds what is asked for; INVALID_REQUEST, before anything is done, where it cannot be had. */
  resolve(order: ProviderOrder): Promise<HostedProvider>;
}
