/** What an instance may ask of whoever runs it. The only way out of a guest. */
export interface GuestHost {
  readonly instanceId: string;
  /** The only environment that a guest has: what its start command gave. */
  readonly config: Readonly<Record<string, string>>;
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
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /**
   * Resolves after `ms`; a rejection ends the guest. The guest is suspended meanwhile, so this belongs to whoever
   * resumes guests, as `callCapability` does, and not to a clock.
   */
  sleep(ms: number): Promise<void>;
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
}

/** Kinds of guests, as the module itself shows them. */
export type GuestKind = "wapc" | "wasi-command" | "wasi-reactor";

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
