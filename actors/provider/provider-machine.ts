import { assign, fromPromise, setup } from "xstate";
import type { Speaker } from "../../src/lattice/speaker.ts";
import { providerLifeLimits } from "../../src/limits.ts";
import { asFailure, Failure } from "../../src/protocol/errors.ts";
import type { ProviderInfo } from "../../src/protocol/facts.ts";
import { productVersion } from "../../src/protocol/version.ts";
import type { OpenProvider } from "./open-provider.ts";
import type { HostedProvider } from "./provider-kind.ts";

/** What outlasts the single lives of a provider: what it is made of now, and how many lives it had. */
export interface ProviderSeat {
  hosted: HostedProvider;
  lives: number;
}

/** What each life of a provider is started with. */
export interface ProviderInput {
  seat: ProviderSeat;
  /** States a fact about it. */
  state: Speaker["state"];
  /** Resolves once the bus is there: a provider must not use up its restarts while nobody could call it. */
  untilConnected: (signal: AbortSignal) => Promise<void>;
  /** Makes one and opens it for calls; rejects with a `Failure`. */
  open: (hosted: HostedProvider) => Promise<OpenProvider>;
  /** Told of the end of its opening: it serves calls now, or failed for that reason. */
  onOpened: (failure?: Failure) => void;
}

/** A replacement: what it is to be made of, and who waits for the outcome. Called once at least; the first counts. */
export interface ProviderUpdate {
  next: HostedProvider;
  cause?: string | undefined;
  settle: (failure?: Failure) => void;
}

/** What a provider is told. */
export type ProviderEvent =
  | { type: "stop"; reason?: string }
  | { type: "provider.update"; update: ProviderUpdate };

interface ProviderContext extends ProviderInput {
  restarts: number;
  opened?: OpenProvider;
  update?: ProviderUpdate | undefined;
  failure: Failure;
  stopReason: string;
}

interface Opening {
  hosted: HostedProvider;
  open: ProviderInput["open"];
}

/**
 * One life of a provider in its host. A failure is a fact, and an error for its supervisor, which begins the next life.
 *
 * ```text
 *   ● → waiting ──bus connected──▶ starting:
 *     starting ──opened──▶ serving ──stop──▶ draining → closing ──answered, closed──▶ stopped (final)
 *        │               │ │   ▲
 *        │               │ └───┘ replaced / handOver: the new one serves, the old one drains beside it
 *        └──not opened───┴──broken, after unwellTimeout──▶ failing ──closed──▶ failed (an error for the supervisor)
 *
 *   serving.health:  well ──check fails──▶ unwell ──check passes──▶ well
 *   serving.update:  steady ──provider.update──▶ opening ──not opened / refuseUpdate──▶ steady
 * ```
 */
export const providerMachine = setup({
  types: {} as { context: ProviderContext; events: ProviderEvent; input: ProviderInput },
  actors: {
    untilConnected: fromPromise<void, ProviderInput>(({ input, signal }) => input.untilConnected(signal)),
    openProvider: fromPromise<OpenProvider, Opening>(async ({ input, signal }) => {
      const opened = await input.open(input.hosted);
      // Whoever waited has gone: a stop, or the deadline.
      if (signal.aborted) await opened.stop();
      return opened;
    }),
    check: fromPromise<void, OpenProvider | undefined>(async ({ input }) => input?.check()),
    untilBroken: fromPromise<never, OpenProvider | undefined>(async ({ input }) => {
      throw new Failure("PROVIDER_UNAVAILABLE", (await input?.broken) ?? "it was not opened");
    }),
    close: fromPromise<void, OpenProvider | undefined>(async ({ input }) => input?.stop()),
  },
  actions: {
    keepOpened: assign(({ event }) => ({ opened: outputOf(event) })),
    keepFailure: assign(({ event }) => ({ failure: asFailure((event as { error?: unknown }).error) })),
    keepLate: assign({ failure: () => late() }),
    keepUnwell: assign(({ context }) => ({
      failure: new Failure(
        "PROVIDER_UNAVAILABLE",
        `it was not well for too long: ${context.failure.message}`,
      ),
    })),
    keepSlowCheck: assign({
      failure: new Failure(
        "PROVIDER_UNAVAILABLE",
        `its check did not end within ${providerLifeLimits.checkMs} ms`,
      ),
    }),
    keepStopReason: assign(({ event }) =>
      event.type === "stop" && event.reason !== undefined ? { stopReason: event.reason } : {},
    ),
    keepUpdate: assign(({ event }) => (event.type === "provider.update" ? { update: event.update } : {})),
    forgetUpdate: assign({ update: undefined }),
    /** The old one ends beside the new one, whose own end waits for it. */
    handOver: assign(({ context, event }) => {
      const next = outputOf(event);
      const before = context.opened?.stop();
      context.seat.hosted = context.update?.next ?? context.seat.hosted;
      return { opened: { ...next, stop: async () => void (await Promise.all([next.stop(), before])) } };
    }),
    tellOpened: ({ context }) => context.onOpened(),
    tellNotOpened: ({ context }) => context.onOpened(context.failure),
    settleUpdate: ({ context }) => context.update?.settle(),
    refuseUpdate: ({ context, event }) =>
      context.update?.settle(asFailure((event as { error?: unknown }).error)),
    refuseLateUpdate: ({ context }) => context.update?.settle(late()),
    refuseUpdateForEnd: ({ context }) =>
      context.update?.settle(new Failure("PROVIDER_UNAVAILABLE", "the provider ended meanwhile")),
    refuseSecondUpdate: ({ event }) =>
      event.type === "provider.update" &&
      event.update.settle(
        new Failure("PROVIDER_UNAVAILABLE", "it is being updated, or does not serve now", { retry: "later" }),
      ),
    stateStarting: ({ context }) => context.state("provider.starting", infoOf(context), causeOf(context)),
    stateAvailable: ({ context }) => context.state("provider.available", infoOf(context), causeOf(context)),
    stateUpdated: ({ context }) => context.state("provider.updated", infoOf(context), context.update?.cause),
    stateUnwell: ({ context }) =>
      context.state("provider.unwell", { ...infoOf(context), reason: context.failure.message }),
    stateDraining: ({ context }) => context.state("provider.draining", infoOf(context)),
    stateFailed: ({ context }) =>
      context.state("provider.failed", { ...infoOf(context), reason: textOf(context.failure) }),
    stateStopped: ({ context }) =>
      context.state("provider.stopped", { ...infoOf(context), reason: context.stopReason }),
    fail: ({ context }) => {
      throw context.failure;
    },
  },
  delays: {
    openTimeout: providerLifeLimits.openMs,
    checkPeriod: providerLifeLimits.checkPeriodMs,
    checkTimeout: providerLifeLimits.checkMs,
    unwellTimeout: providerLifeLimits.unwellMs,
  },
}).createMachine({
  id: "provider",
  context: ({ input }) => ({
    ...input,
    restarts: input.seat.lives++,
    failure: new Failure("PROVIDER_UNAVAILABLE", "it ended"),
    stopReason: "it was told to",
  }),
  initial: "waiting",
  on: { "provider.update": { actions: "refuseSecondUpdate" } },
  states: {
    waiting: {
      invoke: { src: "untilConnected", input: ({ context }) => context, onDone: "starting" },
      on: { stop: { target: "closing", actions: "keepStopReason" } },
    },
    starting: {
      entry: "stateStarting",
      invoke: {
        src: "openProvider",
        input: ({ context: { seat, open } }) => ({ hosted: seat.hosted, open }),
        onDone: { target: "serving", actions: ["keepOpened", "stateAvailable", "tellOpened"] },
        onError: { target: "failing", actions: ["keepFailure", "tellNotOpened"] },
      },
      after: { openTimeout: { target: "failing", actions: ["keepLate", "tellNotOpened"] } },
      on: { stop: { target: "draining", actions: "keepStopReason" } },
    },
    serving: {
      type: "parallel",
      invoke: {
        src: "untilBroken",
        input: ({ context }) => context.opened,
        onError: { target: "failing", actions: ["keepFailure", "refuseUpdateForEnd"] },
      },
      on: { stop: { target: "draining", actions: ["keepStopReason", "refuseUpdateForEnd"] } },
      states: {
        health: {
          initial: "well",
          states: {
            well: {
              initial: "waiting",
              states: {
                waiting: { after: { checkPeriod: "asking" } },
                asking: {
                  invoke: {
                    src: "check",
                    input: ({ context }) => context.opened,
                    onDone: "waiting",
                    onError: { target: "#provider.serving.health.unwell", actions: "keepFailure" },
                  },
                  after: {
                    checkTimeout: { target: "#provider.serving.health.unwell", actions: "keepSlowCheck" },
                  },
                },
              },
            },
            unwell: {
              entry: "stateUnwell",
              after: {
                unwellTimeout: {
                  target: "#provider.failing",
                  actions: ["keepUnwell", "refuseUpdateForEnd"],
                },
              },
              initial: "waiting",
              states: {
                waiting: { after: { checkPeriod: "asking" } },
                asking: {
                  invoke: {
                    src: "check",
                    input: ({ context }) => context.opened,
                    onDone: { target: "#provider.serving.health.well", actions: "stateAvailable" },
                    onError: "waiting",
                  },
                  after: { checkTimeout: "waiting" },
                },
              },
            },
          },
        },
        update: {
          initial: "steady",
          states: {
            steady: { on: { "provider.update": { target: "opening", actions: "keepUpdate" } } },
            opening: {
              invoke: {
                src: "openProvider",
                input: ({ context: { update, seat, open } }) => ({
                  hosted: update?.next ?? seat.hosted,
                  open,
                }),
                onDone: {
                  target: "#provider.serving",
                  reenter: true,
                  actions: ["handOver", "stateUpdated", "settleUpdate", "forgetUpdate"],
                },
                onError: { target: "steady", actions: ["refuseUpdate", "forgetUpdate"] },
              },
              after: { openTimeout: { target: "steady", actions: ["refuseLateUpdate", "forgetUpdate"] } },
            },
          },
        },
      },
    },
    draining: { entry: "stateDraining", always: "closing" },
    closing: {
      // A second stop must find a state that takes it: its supervisor ends on the spot what does not.
      on: { stop: { actions: "keepStopReason" } },
      invoke: {
        src: "close",
        input: ({ context }) => context.opened,
        onDone: "stopped",
        onError: "stopped",
      },
    },
    failing: {
      entry: "stateFailed",
      invoke: { src: "close", input: ({ context }) => context.opened, onDone: "failed", onError: "failed" },
      on: { stop: { target: "closing", actions: "keepStopReason" } },
    },
    stopped: { type: "final", entry: "stateStopped" },
    failed: { entry: "fail" },
  },
});

function outputOf(event: unknown): OpenProvider {
  return (event as { output: OpenProvider }).output;
}

/** The provider as facts tell of it: never its configuration. */
function infoOf({ seat, restarts, opened }: ProviderContext): ProviderInfo {
  const { provider, providerType, backend, kind, commandId } = seat.hosted;
  return {
    provider,
    providerType,
    backend,
    kind,
    version: productVersion,
    restarts,
    ...(opened?.address === undefined ? {} : { address: opened.address }),
    ...(commandId === undefined ? {} : { commandId }),
  };
}

function causeOf({ seat, restarts }: ProviderContext): string | undefined {
  return restarts === 0 ? seat.hosted.commandId : undefined;
}

function textOf({ message, fix }: Failure): string {
  return fix === undefined ? message : `${message} (${fix})`;
}

function late(): Failure {
  return new Failure("TIMEOUT", `it did not open within ${providerLifeLimits.openMs} ms`, {
    fix: "See whether what it connects to answers.",
  });
}
