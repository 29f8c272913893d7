import { guestLimits } from "../../limits.ts";
import type { GuestEnd } from "./guest.ts";
import { GuestFault, guestEnd, GuestStillborn, metersOf } from "./guest-faults.ts";
import type { Meters } from "./guest-faults.ts";
import { GuestMemory } from "./guest-memory.ts";

/** What the imports of one instance share: its memory, its meters and whether it has ended. */
export class GuestLife {
  readonly memory = new GuestMemory();
  meters: Meters = { fuel: undefined, grown: undefined };
  #end: { thrown: unknown } | undefined;
  #isRunning = false;

  /**
   * What every import does first: a guest cannot loop over its host for free, nor go on once it was ended (it may
   * catch whatever an import throws). Throws a {@link GuestFault} when the fuel is used up.
   */
  payCall(): void {
    if (this.#end !== undefined) throw this.#end.thrown;
    this.#pay(guestLimits.fuelPerHostCall);
  }

  /** For bytes that are copied for the guest. */
  payBytes(bytes: number): void {
    this.#pay(bytes * guestLimits.fuelPerHostByte);
  }

  /** Ends the guest for good and gives back what to throw: the first reason stands. */
  end(thrown: unknown): unknown {
    this.#end ??= { thrown };
    return this.#end.thrown;
  }

  /** Before each call: forgets the memory refused in the last one. Throws when the guest has ended. */
  begin(): void {
    if (this.#end !== undefined) throw this.#end.thrown;
    // Two calls at once would silently corrupt each other's shadow stack.
    if (this.#isRunning) throw new Error("a guest was called while a call was in progress");
    this.#isRunning = true;
    if (this.meters.grown !== undefined) this.meters.grown.value = 0;
  }

  /** After each call that returned. Throws when the guest was ended during it and went on regardless. */
  finish(): void {
    this.#isRunning = false;
    if (this.#end !== undefined) throw this.#end.thrown;
  }

  /** Why it ended, from what was thrown. */
  endOf(thrown: unknown): GuestEnd {
    return guestEnd(thrown, this.meters);
  }

  #pay(units: number): void {
    const { fuel } = this.meters;
    if (fuel === undefined) return;
    const left = fuel.value - units;
    fuel.value = Math.max(left, -1);
    if (left < 0) throw new GuestFault("out of fuel in a host call");
  }
}

/**
 * Instantiates a module whose imports share `life`. The module's start function runs here, with the little fuel
 * that admission left in the gauge. Throws {@link GuestStillborn}.
 */
export function instantiate(
  module: WebAssembly.Module,
  imports: WebAssembly.Imports,
  life: GuestLife,
): WebAssembly.Instance["exports"] {
  return bringToLife(life, () => {
    const { exports } = new WebAssembly.Instance(module, imports);
    life.memory.attach(exports["memory"]);
    life.meters = metersOf(exports);
    return exports;
  });
}

/**
 * Runs what starts a guest: nothing in it may suspend, since nobody is there yet to resume it. The gauge gets the
 * default fuel of a call. Throws {@link GuestStillborn}.
 */
export function initialise(life: GuestLife, steps: readonly (() => void)[]): void {
  if (steps.length === 0) return;
  if (life.meters.fuel !== undefined) life.meters.fuel.value = guestLimits.fuelDefault;
  bringToLife(life, () => {
    for (const step of steps) step();
  });
}

/** The exported function of that name, if there is one. */
export function exportedFunction(
  exports: WebAssembly.Instance["exports"],
  name: string,
): WebAssembly.GuestFunction | undefined {
  const exported = exports[name];
  return typeof exported === "function" ? exported : undefined;
}

/** How a call of a guest ends. */
export interface Ending<Result> {
  /** The answer from what the function returned; throws a `Failure` for the guest's own refusal. */
  answer: (result: Result) => Uint8Array;
  /** Runs after every call, whatever came of it. */
  flush: () => void;
}

/**
 * A function as a call of the guest: at once where nothing can suspend, with a promise where something can. What
 * the function throws ends the guest.
 */
export function entry<Args extends unknown[], Result>(
  life: GuestLife,
  run: (...args: Args) => Result,
  canSuspend: boolean,
  { answer, flush }: Ending<Result>,
): (...args: Args) => Uint8Array | Promise<Uint8Array> {
  const returned = (result: Result): Uint8Array => {
    flush();
    life.finish();
    return answer(result);
  };
  const threw = (thrown: unknown): never => {
    flush();
    throw life.end(thrown);
  };
  if (canSuspend) {
    const start = WebAssembly.promising(run);
    return (...args) => start(...args).then(returned, threw);
  }
  return (...args) => {
    let result: Result;
    try {
      result = run(...args);
    } catch (thrown) {
      return threw(thrown);
    }
    return returned(result);
  };
}

/** What can end while it is started. */
export interface Startable {
  /** Ends it for good and gives back what to throw. */
  end(thrown: unknown): unknown;
  endOf(thrown: unknown): GuestEnd;
}

/** Starts a guest, in which nothing may suspend yet. Throws {@link GuestStillborn}. */
export function bringToLife<Result>(life: Startable, start: () => Result): Result {
  try {
    return start();
  } catch (error) {
    const thrown = error instanceof WebAssembly.SuspendError ? hostCallTooEarly(error) : error;
    throw new GuestStillborn(life.endOf(life.end(thrown)), thrown);
  }
}

function hostCallTooEarly(cause: unknown): GuestFault {
  return new GuestFault(
    "the guest made a host call that has to wait while it was started; host calls belong in its operations",
    { cause },
  );
}
