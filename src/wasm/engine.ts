import type { Assignment, Crash, InstanceLimits } from "../protocol/instance-spec.ts";
import type { GuestKind } from "./guests/guest.ts";
import type { GrantUse } from "./used-grants.ts";

/** What an engine needs to know to run one instance. */
export interface GuestSpec {
  readonly instanceId: string;
  readonly name: string | undefined;
  readonly incarnation: number;
  /** `sha256:…` of the module's bytes. */
  readonly digest: string;
  /** Where those bytes are, verified; the engine may read nothing else. */
  readonly moduleFile: string;
  readonly limits: InstanceLimits;
  readonly config: Readonly<Record<string, string>>;
  readonly capabilities: readonly Assignment[];
  /** Whether the guest is kept from call to call. */
  readonly reuse: boolean;
  /** Whether the guest is run to see what it needs: what is refused is refused as exactly as can be. */
  readonly audit?: boolean;
}

/** A module that can be run here. */
export interface AdmittedModule {
  readonly guestKind: GuestKind;
  readonly sizeBytes: number;
}

/** What an engine says without being asked. */
export type EngineEvent =
  | { readonly type: "instance.crashed"; readonly instanceId: string; readonly crash: Crash }
  | {
      readonly type: "capability.denied";
      readonly instanceId: string;
      readonly capabilityId: string;
      readonly providerType: string;
      readonly operation: string;
      /** Empty where no grant would allow it. */
      readonly permission: string;
      readonly count: number;
      /** Others were refused as well, too many to be told one by one. */
      readonly more?: true;
    }
  | ({ readonly type: "capability.used"; readonly instanceId: string } & GrantUse)
  | {
      readonly type: "cell.lost";
      readonly reason: string;
      readonly blamed: string | undefined;
      readonly moved: number;
    }
  | {
      /** The server refused a cell something, so often since the last time. */
      readonly type: "bus.refused";
      readonly operation: "publish" | "subscribe";
      readonly subject: string;
      readonly count: number;
    }
  | { readonly type: "load"; readonly rssBytes: number; readonly cells: number; readonly instances: number };

/** Which calls are asked about: their tokens, and the guests, by id or name, that they went to. */
export interface HeldQuestion {
  readonly guests: readonly string[];
  readonly tokens: readonly string[];
}

/** What cells say about such calls. What is in neither list is surely not held here. */
export interface HeldAnswer {
  /** In progress, or waiting for their turn. */
  readonly held: readonly string[];
  /** Guests in cells that are too busy to say. */
  readonly unsure: readonly string[];
  /** Guests whose every copy here was in a cell that was ended for being stuck: since when, and when, in ms ago. */
  readonly stuck: readonly { readonly target: string; readonly sinceMs: number; readonly endedMs: number }[];
}

/**
 * Runs guests. Everything asked is answered or rejected with a `Failure`; when the engine ends, everything
 * pending is rejected with COMMUNICATION_FAILURE.
 */
export interface Engine {
  readonly pid: number;
  readonly cells: number;
  /** Reads, limits, meters and compiles a module; INVALID_MODULE says what is wrong with it. */
  admit(digest: string, moduleFile: string, limits: InstanceLimits): Promise<AdmittedModule>;
  /** Resolves once the bus delivers calls to it; the guest itself is made at its first call. */
  start(spec: GuestSpec): Promise<void>;
  /** Resolves when calls in progress are answered and none comes any more. An unknown id is no error. */
  stop(instanceId: string): Promise<void>;
  /** Replaces the grants of a running instance; resolves when its next call is under the new ones. */
  grant(instanceId: string, capabilities: readonly Assignment[]): Promise<void>;
  /** Which of these calls are held by a cell, found out within some 200 ms, however busy the cells are. */
  held(question: HeldQuestion): Promise<HeldAnswer>;
  /** Ends all instances and the engine. */
  close(): Promise<void>;
}

/**
 * Starts an engine; rejects with a `Failure` when it does not become ready. `onEnd` is called once, when it has
 * ended for whatever reason, after everything pending on it was rejected.
 */
export type EngineLauncher = (
  onEvent: (event: EngineEvent) => void,
  onEnd: (reason: string) => void,
) => Promise<Engine>;
