import { type Clock, delay } from "../clock.ts";
import { lostCallLimits } from "../limits.ts";
import { filterFor, parametersOf } from "../protocol/addresses.ts";
import { asFailure, Failure } from "../protocol/errors.ts";
import { isId } from "../protocol/ids.ts";
import type { CallRoute, LostCallsAnswer, LostCallsQuestion } from "../protocol/lost-calls.ts";
import { ask } from "./ask.ts";
import type { Bus, WaitingRequest } from "./bus.ts";

const { askEveryMs, callsMax, graceMs, questionTimeoutMs, targetsMax } = lostCallLimits;

/** Where the calls of a caller go, and its way there. */
export interface LostCallsWorld {
  readonly lattice: string;
  readonly bus: Bus;
  readonly clock: Clock;
}

/** A waiting call to a guest or a provider of this lattice. */
interface Waiting extends CallRoute, WaitingRequest {}

/**
 * Fails calls to guests and providers that nobody works on any more, long before their timeouts: while a call is slow
 * the control planes are asked whether it was hit by a loss that they know of. Guests: COMMUNICATION_FAILURE, or
 * INSTANCE_UNAVAILABLE with `details.safeToRepeat` where the call surely was not begun; providers:
 * PROVIDER_UNAVAILABLE. Without a control plane, or without its answer, a call waits for its timeout. The function
 * returned ends it.
 */
export function watchLostCalls({ lattice, bus, clock }: LostCallsWorld): () => void {
  const routeOf = routeReader(lattice);
  let askedAbout = new Set<string>();
  let askedAt = Number.NEGATIVE_INFINITY;
  /** Whether something was hit by a loss, and a call to it may have been. */
  let isDoubted = false;
  let isAsking = false;
  let isOver = false;

  function onSlow(requests: readonly WaitingRequest[]): void {
    const waiting = requests.flatMap((request): Waiting[] => {
      const route = routeOf(request.subject);
      return route === undefined ? [] : [{ ...request, ...route }];
    });
    if (waiting.length === 0 || isAsking || isOver) return;
    const areKnown = waiting.every(({ token }) => askedAbout.has(token));
    if (areKnown && !isDoubted && clock.now() - askedAt < askEveryMs) return;
    askedAbout = new Set(waiting.map(({ token }) => token));
    askedAt = clock.now();
    isAsking = true;
    void inquire(waiting)
      .catch((error: unknown) => {
        // No control plane, or a busy one: the next look asks again. A role that may not ask never may.
        if (asFailure(error).code === "PERMISSION_DENIED") isOver = true;
      })
      .finally(() => {
        isAsking = false;
      });
  }

  async function inquire(waiting: readonly Waiting[]): Promise<void> {
    const byRoute = Map.groupBy(waiting, keyOf);
    const routes = [...byRoute.values()].slice(0, targetsMax);
    const { doubted } = await question(routes.map((calls) => asked(calls, [])));
    isDoubted = doubted.length > 0;
    if (!isDoubted) return;
    const doubts = new Set(doubted.map(keyOf));
    let room = callsMax;
    const hit = routes
      .filter(([first]) => first !== undefined && doubts.has(keyOf(first)))
      .map((calls) => {
        const some = calls.slice(0, room);
        room -= some.length;
        return some;
      })
      .filter((calls) => calls.length > 0);
    const { lost } = await question(hit.map((calls) => asked(calls, calls)));
    if (lost.length > 0) await giveUp(lost, new Map(hit.flat().map((call) => [call.token, call])));
  }

  function question(targets: LostCallsQuestion["targets"]): Promise<LostCallsAnswer> {
    const options = { timeoutMs: questionTimeoutMs };
    return ask(bus, "lost", { lattice }, { targets }, options) as Promise<LostCallsAnswer>;
  }

  async function giveUp(lost: LostCallsAnswer["lost"], asked: ReadonlyMap<string, Waiting>): Promise<void> {
    await delay(clock, graceMs);
    for (const { token, safeToRepeat } of lost) {
      const call = asked.get(token);
      if (call !== undefined && !isOver) bus.giveUp(token, lostFailure(call, safeToRepeat));
    }
  }

  const forget = bus.onSlow(onSlow);
  return () => {
    isOver = true;
    forget();
  };
}

function asked(all: readonly Waiting[], calls: readonly Waiting[]): LostCallsQuestion["targets"][number] {
  const [{ kind, target }] = all as [Waiting];
  return {
    kind,
    target,
    waitedMs: Math.max(...all.map((call) => call.waitedMs)),
    calls: calls.map(({ token, waitedMs }) => ({ token, waitedMs })),
  };
}

function keyOf({ kind, target }: CallRoute): string {
  return `${kind} ${target}`;
}

/** Reads what a subject calls; undefined for everything but calls of this lattice. */
function routeReader(lattice: string): (subject: string) => CallRoute | undefined {
  const beginning = (row: "call" | "cap") => {
    const filter = filterFor(row, { lattice });
    return filter.slice(0, filter.indexOf("*"));
  };
  const [guests, providers] = [beginning("call"), beginning("cap")];
  return (subject) => {
    const kind = subject.startsWith(guests)
      ? "guest"
      : subject.startsWith(providers)
        ? "provider"
        : undefined;
    if (kind === undefined) return undefined;
    const { target, provider } = parametersOf(kind === "guest" ? "call" : "cap", subject);
    const called = kind === "guest" ? target : provider;
    return isId(called) ? { kind, target: called } : undefined;
  };
}

function lostFailure({ kind, target, subject }: Waiting, safeToRepeat: boolean): Failure {
  const details = { subject, lost: true, safeToRepeat };
  if (kind === "provider") {
    return new Failure("PROVIDER_UNAVAILABLE", `the provider ${target} was lost before it answered`, {
      fix: "It may have been done: repeat it if doing it twice does no harm.",
      details,
    });
  }
  if (safeToRepeat) {
    return new Failure(
      "INSTANCE_UNAVAILABLE",
      `what should have answered for ${target} ended before the call began`,
      {
        fix: "Nothing was done: repeat the call.",
        details,
      },
    );
  }
  return new Failure("COMMUNICATION_FAILURE", `what worked on the call to ${target} was lost`, {
    fix: "It may have been done: repeat it if doing it twice does no harm.",
    details,
  });
}
