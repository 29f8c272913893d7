import type { Bus } from "../../src/bus/bus.ts";
import { providerSummary, servingStatuses } from "../../src/lattice/provider-summary.ts";
import type { Speaker } from "../../src/lattice/speaker.ts";
import type { ProviderSummary } from "../../src/protocol/commands.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { openProvider, type ProviderHost } from "../provider/open-provider.ts";
import type { HostedProvider } from "../provider/provider-kind.ts";
import type { ProviderSeat } from "../provider/provider-machine.ts";
import type { ChildSpec } from "../supervisor/child-spec.ts";
import type { SupervisorCommand, SupervisorFact } from "../supervisor/supervisor-machine.ts";
import { providerChildId, providerSpec } from "./node-children.ts";

/** The providers of a node: children of its supervisor, by name. */
export interface HostedProviders {
  /** Those that the node begins with. */
  readonly specs: readonly ChildSpec[];
  /** What a provider of this node is made of now, unless it was stopped or given up and forgotten. */
  get(provider: string): HostedProvider | undefined;
  /** Whether it runs, or will run again by itself. */
  isPresent(provider: string): boolean;
  /** Resolves once it serves; rejects with the reason why it cannot, and then it is gone again. */
  start(hosted: HostedProvider): Promise<ProviderSummary>;
  /** Resolves once it has answered what it began and is closed. */
  stop(provider: string, reason: string): Promise<ProviderSummary>;
  /** Resolves once the next one serves; rejects with the reason why it cannot, and then the old one stays. */
  update(provider: string, next: HostedProvider, cause: string | undefined): Promise<ProviderSummary>;
  /** What the supervisor says of its children. */
  heard(fact: SupervisorFact): void;
}

interface Seat extends ProviderSeat {
  isPresent: boolean;
  /** Who waits for it to serve, or to fail. */
  opening: ((failure?: Failure) => void) | undefined;
  /** Who waits for an update; its machine may end without a word. */
  updating: ((failure?: Failure) => void) | undefined;
  ended: PromiseWithResolvers<void>;
}

/** Hosts providers; one command for one provider at a time, which its caller sees to. */
export function createHostedProviders(world: {
  host: ProviderHost;
  speaker: Speaker;
  first: readonly HostedProvider[];
  supervise: (command: SupervisorCommand) => void;
}): HostedProviders {
  const { host, speaker, first, supervise } = world;
  const seats = new Map<string, Seat>();
  const seatById = (id: string) => [...seats].find(([provider]) => providerChildId(provider) === id)?.[1];

  function takeSeat(hosted: HostedProvider): { seat: Seat; spec: ChildSpec } {
    const seat: Seat = {
      hosted,
      lives: 0,
      isPresent: true,
      opening: undefined,
      updating: undefined,
      ended: Promise.withResolvers(),
    };
    seats.set(hosted.provider, seat);
    const spec = providerSpec({
      seat,
      state: (kind, data, cause) => speaker.state(kind, data, cause),
      untilConnected: (signal) => untilConnected(host.bus, signal),
      open: (what) => openProvider(host, what),
      onOpened: (failure) => seat.opening?.(failure),
    });
    return { seat, spec };
  }

  function summary(provider: string): ProviderSummary {
    const view = speaker.own().providers.get(provider);
    if (view === undefined) throw new Error(`provider ${provider} is not in the node's own view`);
    return providerSummary(view);
  }

  function untilOpened(seat: Seat): Promise<void> {
    return settling((settle) => void (seat.opening = settle)).finally(() => (seat.opening = undefined));
  }

  async function stop(seat: Seat, reason: string): Promise<void> {
    const { provider } = seat.hosted;
    const id = providerChildId(provider);
    seat.ended = Promise.withResolvers();
    supervise({ type: "child.tell", id, event: { type: "stop", reason } });
    supervise({ type: "child.stop", id });
    await seat.ended.promise;
  }

  /** One that does not serve cannot hand over: its next life is made of the new. */
  async function restartWith(seat: Seat, next: HostedProvider): Promise<void> {
    const before = seat.hosted;
    seat.hosted = next;
    seat.isPresent = true;
    const opened = untilOpened(seat);
    supervise({ type: "child.restart", id: providerChildId(next.provider) });
    await opened.catch((error: unknown) => {
      seat.hosted = before;
      throw error;
    });
  }

  return {
    specs: first.map((hosted) => takeSeat(hosted).spec),
    get: (provider) => seats.get(provider)?.hosted,
    isPresent: (provider) => seats.get(provider)?.isPresent ?? false,
    async start(hosted) {
      host.watch.start();
      const { seat, spec } = takeSeat(hosted);
      const opened = untilOpened(seat);
      supervise({ type: "child.add", spec });
      try {
        await opened;
      } catch (error) {
        await stop(seat, "it could not be started");
        throw error;
      }
      return summary(hosted.provider);
    },
    async stop(provider, reason) {
      const seat = seats.get(provider);
      const view = speaker.own().providers.get(provider);
      if (seat?.isPresent === true) await stop(seat, reason);
      else if (view?.status === "gave-up") speaker.state("provider.stopped", { ...view.info, reason });
      return summary(provider);
    },
    async update(provider, next, cause) {
      const seat = seats.get(provider);
      if (seat === undefined) throw new Error(`there is no provider ${provider} here`);
      const status = speaker.own().providers.get(provider)?.status;
      if (status !== undefined && servingStatuses.has(status)) {
        const id = providerChildId(provider);
        await settling((settle) => {
          seat.updating = settle;
          supervise({
            type: "child.tell",
            id,
            event: { type: "provider.update", update: { next, cause, settle } },
          });
        }).finally(() => (seat.updating = undefined));
      } else await restartWith(seat, next);
      return summary(provider);
    },
    heard(fact) {
      const seat = seatById(fact.id);
      if (seat === undefined) return;
      const { provider } = seat.hosted;
      const view = speaker.own().providers.get(provider);
      const gone = (why: string) => {
        const failure = new Failure("PROVIDER_UNAVAILABLE", `provider ${provider} ${why}`);
        seat.opening?.(failure);
        seat.updating?.(failure);
      };
      if (fact.type === "child.crashed") seat.updating?.(new Failure("PROVIDER_UNAVAILABLE", fact.reason));
      if (fact.type === "child.refused") gone(`cannot be changed now: ${fact.reason}`);
      if (fact.type === "child.failed") {
        seat.isPresent = false;
        if (view !== undefined) speaker.state("provider.gave-up", { ...view.info, reason: fact.reason });
        gone(`is given up: ${fact.reason}`);
        seat.ended.resolve();
      }
      if (fact.type === "child.stopped") {
        seat.isPresent = false;
        // One that waits for its next life, or was ended by force, cannot say so itself.
        if (view !== undefined && view.status !== "stopped")
          speaker.state("provider.stopped", { ...view.info, reason: fact.reason });
        gone("was stopped");
        seat.ended.resolve();
      }
    },
  };
}

function untilConnected(bus: Bus, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (bus.connected) return resolve();
    const forget = bus.onStatus(({ type }) => {
      if (type !== "connected" && type !== "reconnected") return;
      forget();
      resolve();
    });
    signal.addEventListener("abort", forget, { once: true });
  });
}

function settling(begin: (settle: (failure?: Failure) => void) => void): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  begin((failure) => (failure === undefined ? resolve() : reject(failure)));
  return promise;
}
