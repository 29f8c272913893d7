import { subjectMatches } from "./subject-matches.ts";

/** A message under way. */
export interface Sent {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly replyTo: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

/** One subscription of one connection. */
export interface Listener {
  readonly filter: string;
  readonly queue: string | undefined;
  /** Whether its connection is there now. */
  readonly reachable: () => boolean;
  readonly deliver: (sent: Sent) => void;
}

/** Decides who gets what, as a nats-server does. */
export interface MemoryRouter {
  readonly listeners: Set<Listener>;
  /** Puts one step behind everything under way. */
  enqueue(step: () => void): void;
  /** Delivers to every listener and to one of each queue group; tells the sender when there is none. */
  route(sent: Sent): void;
}

/** Steps are taken one per microtask, in order; members of a queue group take turns. */
export function createMemoryRouter(): MemoryRouter {
  const listeners = new Set<Listener>();
  const turns = new Map<string, number>();
  const steps: (() => void)[] = [];

  function enqueue(step: () => void): void {
    steps.push(step);
    queueMicrotask(() => steps.shift()?.());
  }

  function route(sent: Sent): void {
    const receivers = receiversOf(sent.subject);
    for (const listener of receivers) {
      // By its turn it may have unsubscribed.
      enqueue(() => {
        if (listeners.has(listener) && listener.reachable()) listener.deliver(sent);
      });
    }
    if (receivers.length > 0 || sent.replyTo === undefined) return;
    const notice: Sent = {
      subject: sent.replyTo,
      data: new Uint8Array(0),
      replyTo: undefined,
      headers: { Status: "503" },
    };
    enqueue(() => route(notice));
  }

  function receiversOf(subject: string): Listener[] {
    const matching = [...listeners].filter((one) => one.reachable() && subjectMatches(one.filter, subject));
    const groups = Map.groupBy(matching, ({ filter, queue }) =>
      queue === undefined ? "" : `${filter} ${queue}`,
    );
    return [...groups].flatMap(([group, members]) => {
      if (group === "") return members;
      const turn = turns.get(group) ?? 0;
      turns.set(group, turn + 1);
      const next = turn % members.length;
      return members.slice(next, next + 1);
    });
  }

  return { listeners, enqueue, route };
}
