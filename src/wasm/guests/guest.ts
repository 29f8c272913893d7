import type { ByteStreams } from "../../byte-source.ts";

/** What an instance may ask of whoever runs it. The only way out of a guest. */
export interface GuestHost {
  readonly instanceId: string;
  /** The name that instances share, or the instance id. */
  readonly name: string;
  /** The only environment that a guest has: what its start command gave. */
  readonly config: Readonly<Record<string, string>>;
  /** Bodies that do not fit one message. */
  readonly streams: ByteStreams;
  /**
   * One capability call; `payload` is a copy that the host owns. The guest is suspended until it settles, so it
   * must settle: a promise that does not keeps the guest's stack and memory for ever.
   * Rejects with a `Failure` that the guest is told and may handle; anything else that is thrown ends the guest.
   */
  callCapability(
    capabilityId: string,
    providerType: string,
    operation: string,
    payload: Uint8Array,
  ): Promise<Uint8Array>;
  /** The same while the guest goes on. Never throws: what is refused rejects. */
  beginCapability(
    capabilityId: string,
    providerType: string,
    operation: string,
    payload: Uint8Array,
  ): Promise<Uint8Array>;
  /**
   * The grant that a guest means: `wanted` where it is one of that provider type, else the only one of the type.
   * Throws PERMISSION_DENIED without one, INVALID_REQUEST where there are several and none is named so.
   */
  capabilityFor(providerType: string, wanted?: string): string;
  /** Calls another guest, by name or instance id, under `call:<name>[:<operation>]`. Never throws. */
  beginGuestCall(target: string, operation: string, payload: Uint8Array): Promise<Uint8Array>;
  /** The target of the `call` grant that is linked to an interface, undefined without one. */
  linkedTarget(interfaceName: string): string | undefined;
  /**
   * Suspends the guest until `work` settles. Every wait of a guest goes through here: whoever resumes guests does it
   * one at a time, and knows who runs. Rejects as `work` does, or because the call was given up meanwhile.
   */
  suspend<Result>(work: () => Promise<Result>): Promise<Result>;
  /** Answers the call in progress while the guest goes on; what it returns later is not sent. */
  answer(bytes: Uint8Array): void;
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Resolves after `ms`, the guest suspended meanwhile; a rejection ends the guest. */
  sleep(ms: number): Promise<void>;
  /** Calls back after `ms` while the guest goes on; the function returned ends that. */
  after(ms: number, callback: () => void): () => void;
  /** One line that the guest wrote, without its end. Never throws. */
  log(stream: "stdout" | "stderr" | "console", text: string): void;
}

/** One living instance of a module. Calls must not overlap: a guest has one shadow stack. */
export interface Guest {
  /**
   * Runs one operation and gives its answer, at once when the module cannot suspend. A guest's own refusal is a
   * `Failure` GUEST_ERROR and leaves the instance usable, as does every other `Failure`; everything else that is
   * thrown means the instance is broken and must be discarded.
   */
  call(operation: string, payload: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** What is left of the guest's fuel; to be set before each call. Undefined when the module is not metered. */
  readonly fuel: Gauge | undefined;
  /** Why the guest ended, from what its last call threw. To be asked before the next call. */
  endOf(thrown: unknown): GuestEnd;
  /** Ends what it has under way, streams and calls, once it is not used any more; it may be in a call. */
  dispose?(): void;
}

/** Kinds of guests that are one core module. */
export type CoreGuestKind = "wapc" | "wasi-command" | "wasi-reactor";

/** Kinds of guests, as the module itself shows them. */
export type GuestKind = CoreGuestKind | "component";

/** A number that the guest keeps and the host may set: an exported mutable i32 global. */
export interface Gauge {
  value: number;
}

/** Why a guest ended, in the words of a crash fact. */
export interface GuestEnd {
  /** `fault`: it broke a rule of its host, or the host ended it. */
  readonly type: "trap" | "fuel" | "memory" | "exit" | "fault";
  readonly message: string;
  /** Only with `exit`. */
  readonly exitCode?: number;
  /** The guest's frames, innermost first, with the names that the module has. */
  readonly backtrace: readonly string[];
}

/** The guest ended by itself: `proc_exit`. A command that exits with 0 has answered and throws nothing. */
export class GuestExit extends Error {
  override readonly name = "GuestExit";
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`the guest exited with code ${exitCode}`);
    this.exitCode = exitCode;
  }
}
