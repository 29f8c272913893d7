import { componentLimits } from "../../../limits.ts";
import { GuestFault } from "../../guests/guest-faults.ts";
import type { GuestHost } from "../../guests/guest.ts";

/** The host of one life of a component, and what that life holds of it. All interfaces of a world share one. */
export interface ComponentHost extends GuestHost {
  /**
   * Counts something that the guest holds of its host: a stream, a pollable, a wait. `end` is called at most once,
   * when the life is over before the guest gave it back with the function returned.
   * Throws `GuestFault`, which ends the guest, when it holds too much.
   */
  hold(end: () => void): () => void;
  /** Whether this life is over: nothing is held any more, and nothing begins. */
  readonly isOver: boolean;
  /** Takes the fuel for bytes that the host makes or copies; throws when it is used up. */
  pay(bytes: number): void;
  /** Ends all that is held. A second time does nothing. */
  dispose(): void;
}

/** The host for one life; `pay` is what engines with metering pass. */
export function componentHost(host: GuestHost, pay: (bytes: number) => void = () => {}): ComponentHost {
  const held = new Set<() => void>();
  let isOver = false;

  const ofComponent: Omit<ComponentHost, keyof GuestHost> = {
    pay,
    get isOver() {
      return isOver;
    },
    hold(end) {
      if (isOver) throw new GuestFault("the guest asked its host for something after its end");
      if (held.size >= componentLimits.resourcesMax) {
        throw new GuestFault(
          `the guest holds ${held.size} streams, pollables and other resources, which is the most it may`,
        );
      }
      // A function of its own: two holders may pass the same one.
      const entry = () => end();
      held.add(entry);
      return () => void held.delete(entry);
    },
    dispose() {
      isOver = true;
      for (const end of held) {
        held.delete(end);
        end();
      }
    },
  };
  // The prototype and not a copy: a host's properties may be getters.
  return Object.defineProperties(
    Object.create(host) as ComponentHost,
    Object.getOwnPropertyDescriptors(ofComponent),
  );
}

/**
 * Ends the guest out of a function that may wait and has no `result`: generated code loses what such a function
 * throws, and would wait for ever. What a wait rejects with, if it is no `Failure`, is the end of every guest.
 */
export function endGuest(host: GuestHost, fault: Error): Promise<never> {
  return host.suspend(() => Promise.reject(fault));
}
