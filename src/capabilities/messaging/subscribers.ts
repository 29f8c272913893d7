import type { GrantHolder } from "../capability.ts";
import type { Recipient } from "./contract.ts";
import { createSubscriber, type Subscriber, type SubscriberWorld } from "./subscriber.ts";

/** All instances that are subscribed to something. */
export interface Subscribers {
  /** The one of that instance, made where there is none. */
  of(recipient: Recipient): Subscriber;
  find(instanceId: string): Subscriber | undefined;
  /** Whether nobody may be added any more. */
  readonly hasEnded: boolean;
  /** All present grants: those whose instance has none any more end. */
  granted(holders: readonly GrantHolder[]): void;
  /** Ends them all; resolves once what they had in progress is over. */
  end(): Promise<void>;
}

/** The subscribers of a lattice. */
export function createSubscribers(world: SubscriberWorld, lattice: string): Subscribers {
  const subscribers = new Map<string, Subscriber>();
  const ending = new Set<Promise<unknown>>();
  let hasEnded = false;

  function subscriberOf(recipient: Recipient): Subscriber {
    const { instanceId } = recipient;
    const found = subscribers.get(instanceId);
    if (found !== undefined) return found;
    const made = createSubscriber(world, recipient, () => forget(instanceId));
    subscribers.set(instanceId, made);
    return made;
  }

  function forget(instanceId: string): void {
    const subscriber = subscribers.get(instanceId);
    if (subscriber === undefined) return;
    subscribers.delete(instanceId);
    subscriber.end();
    const settled = subscriber.mailbox.settled().finally(() => ending.delete(settled));
    ending.add(settled);
  }

  return {
    of: subscriberOf,
    find: (instanceId) => subscribers.get(instanceId),
    get hasEnded() {
      return hasEnded;
    },
    granted(holders) {
      const present = livesOf(holders.filter((holder) => holder.lattice === lattice));
      for (const [instanceId, subscriber] of subscribers) {
        // Of one that asked before the facts of its grant came, they may be on their way.
        if (!present.has(instanceId) && subscriber.isConfirmed) forget(instanceId);
      }
      for (const [instanceId, { name, incarnation, grants }] of present) {
        subscriberOf({ lattice, instanceId, name }).hold(grants, incarnation);
      }
    },
    async end() {
      hasEnded = true;
      for (const instanceId of subscribers.keys()) forget(instanceId);
      await Promise.allSettled(ending);
    },
  };
}

/** What an instance that is listed is, in the life that counts: the highest incarnation. */
interface Life {
  readonly name: string;
  readonly incarnation: number;
  readonly grants: GrantHolder[];
}

function livesOf(holders: readonly GrantHolder[]): Map<string, Life> {
  const lives = new Map<string, Life>();
  for (const holder of holders) {
    const { instanceId, name, incarnation } = holder;
    const known = lives.get(instanceId);
    if (known === undefined || known.incarnation < incarnation) {
      lives.set(instanceId, { name, incarnation, grants: [holder] });
    } else if (known.incarnation === incarnation) known.grants.push(holder);
  }
  return lives;
}
