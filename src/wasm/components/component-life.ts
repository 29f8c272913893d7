import { moduleLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";
import type { Gauge, GuestEnd } from "../guests/guest.ts";
import { guestEnd, GuestFault, type Meters, metersOf } from "../guests/guest-faults.ts";
import { GuestLife } from "../guests/guest-life.ts";
import { letGo } from "../guests/memory-debt.ts";

/**
 * One life of a component: the fuel of all its core instances, and its end. Whatever it waits for is given up when it
 * ends, for V8 keeps the stack of a guest whose promise never settles.
 */
export class ComponentLife {
  readonly #life = new GuestLife();
  readonly #meters: Meters[] = [];
  readonly #memories: WebAssembly.Memory[] = [];
  readonly #waiting = new Set<(thrown: unknown) => void>();
  /** Functions of the guest itself: calls between core modules lead over no host. */
  readonly #ownFunctions = new WeakSet<object>();
  /** The least that is left in any core module; set, it is that of all. */
  readonly fuel: Gauge;
  /** What host calls may take while there is no core module yet; its start function has no more. */
  readonly #hostMeter: Meters = { fuel: { value: moduleLimits.startFuel }, grown: undefined };
  #end: GuestEnd | undefined;
  #atWakening: { thrown: unknown } | undefined;

  constructor() {
    this.#meters.push(this.#hostMeter);
    this.fuel = this.#gauge("fuel");
    this.#life.meters = { fuel: this.fuel, grown: this.#gauge("grown") };
  }

  /** Throws when the guest has ended, or used up its fuel for host calls. */
  payCall(): void {
    this.#life.payCall();
  }

  /** For bytes that the host makes or copies for the guest. */
  payBytes(bytes: number): void {
    this.#life.payBytes(bytes);
  }

  /** Before each call. Throws when the guest has ended or is in a call. */
  begin(): void {
    this.#life.begin();
  }

  /** After each call that returned. Throws when the guest was ended during it and went on regardless. */
  finish(): void {
    this.#life.finish();
  }

  /** Whether the guest is suspended by a host function. */
  get isWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  /** Ends the guest for good, also while it waits, and gives back what to throw: the first reason stands. */
  kill(thrown: unknown): unknown {
    // A `Failure` that a host function let through is no answer of the guest, which would go on after it.
    const reason = thrown instanceof Failure ? new GuestFault(thrown.message, { cause: thrown }) : thrown;
    // Before the fuel is taken, which would pass for the reason.
    this.#end ??= guestEnd(reason, this.#life.meters);
    const first = this.#life.end(reason);
    // A guest may catch what its imports throw; without fuel it gets no further than the next loop.
    this.fuel.value = -1;
    for (const reject of this.#waiting) reject(first);
    this.#waiting.clear();
    return first;
  }

  /** After the last use of the guest: its memories are to be given back soon. */
  letGo(): void {
    for (const memory of this.#memories.splice(0)) letGo(memory);
  }

  /** Ends the guest as soon as what it waits for is over. */
  killWhenWoken(thrown: unknown): void {
    this.#atWakening ??= { thrown };
  }

  /** After each wait of the guest. Throws when it is to end now. */
  woken(): void {
    if (this.#atWakening !== undefined) throw this.kill(this.#atWakening.thrown);
  }

  /** Why it ended, from what was thrown. */
  endOf(thrown: unknown): GuestEnd {
    return this.#end ?? guestEnd(thrown, this.#life.meters);
  }

  /** Waits for `promise` or the end of the guest; what the promise rejects with ends the guest. */
  wait<Result>(promise: Promise<Result>): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      this.#waiting.add(reject);
      promise.then(
        (result) => {
          // After the end, the rejection above counts.
          this.#waiting.delete(reject);
          resolve(result);
        },
        (thrown: unknown) => {
          this.#waiting.delete(reject);
          reject(this.kill(thrown));
        },
      );
    });
  }

  /** A host function as a core module may call it: paid for, and the end of the guest when it throws. */
  guarded<Args extends unknown[]>(run: (...args: Args) => unknown): (...args: Args) => unknown {
    return (...args) => {
      this.payCall();
      try {
        const result = run(...args);
        return result instanceof Promise ? this.wait(result) : result;
      } catch (thrown) {
        throw this.kill(thrown);
      }
    };
  }

  /** Instantiates one core module of the guest; functions of the host among its imports are guarded. */
  instantiateCore(module: WebAssembly.Module, imports: WebAssembly.Imports = {}): WebAssembly.Instance {
    const guardedImports: WebAssembly.Imports = {};
    for (const [from, entries] of Object.entries(imports)) {
      const copies: Record<string, WebAssembly.ImportValue> = (guardedImports[from] = {});
      for (const [name, value] of Object.entries(entries)) {
        copies[name] = isAugment(from, name, value) ? value : this.#guardedImport(value);
      }
    }
    const instance = new WebAssembly.Instance(module, guardedImports);
    this.#meters.push(metersOf(instance.exports));
    for (const exported of Object.values(instance.exports)) {
      if (typeof exported === "function") this.#ownFunctions.add(exported);
      else if (exported instanceof WebAssembly.Memory && !this.#memories.includes(exported))
        this.#memories.push(exported);
    }
    return instance;
  }

  #guardedImport(value: WebAssembly.ImportValue): WebAssembly.ImportValue {
    if (typeof value !== "function" || this.#ownFunctions.has(value)) return value;
    return this.guarded(value as (...args: unknown[]) => unknown);
  }

  /** All gauges of that name as one. */
  #gauge(name: keyof Meters): Gauge {
    const meters = this.#meters;
    return {
      get value() {
        let least: number | undefined;
        for (const one of meters) {
          const value = one[name]?.value;
          if (value !== undefined && (least === undefined || value < least)) least = value;
        }
        return least ?? 0;
      },
      set value(value) {
        for (const one of meters) {
          const gauge = one[name];
          if (gauge !== undefined) gauge.value = value;
        }
      },
    };
  }
}

/**
 * Whether it is a load or store in the memory of another core module, which the generator writes as a function of
 * its own name. Each of the guest's loops over them is paid for already.
 */
function isAugment(from: string, name: string, value: WebAssembly.ImportValue): boolean {
  return from === "augments" && typeof value === "function" && value.name === name;
}
