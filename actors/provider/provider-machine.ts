import { assign, fromCallback, fromPromise, setup } from "xstate";
import type { Speaker } from "../../src/lattice/speaker.ts";
import { Failure } from "../../src/protocol/errors.ts";
import type { ProviderInfo } from "../../src/protocol/facts.ts";
import { reasonOf } from "../supervisor/ended-child.ts";

/** The bus side of a provider that is open for calls. */
export interface OpenProvider {
  /** No new calls from here on; resolves once those in progress are answered. */
  stop(): Promise<void>;
}

/** What a provider is started with. */
export interface ProviderInput {
  info: ProviderInfo;
  /** States a fact about it. */
  state: Speaker["state"];
  /** Opens it for calls; `onBroken` says, at most once, that it cannot go on. */
  open: (onBroken: (reason: string) => void) => OpenProvider;
}

/** What a provider is told. */
export type ProviderEvent =
  | { type: "stop" }
  | { type: "provider.opened"; provider: OpenProvider }
  | { type: "provider.broken"; reason: string };

interface ProviderContext extends ProviderInput {
  opened?: OpenProvider;
  reason: string;
}

/**
 * A provider in its host. A failure is a fact, and an error for its supervisor, which starts it again.
 *
 * ```text
 *   ● → starting ──provider.opened──▶ available ──stop──▶ draining ──answered──▶ stopped (final)
 *          │                             │
 *          └──────provider.broken────────┴──▶ failed (an error for the supervisor)
 * ```
 */
export const providerMachine = setup({
  types: {} as { context: ProviderContext; events: ProviderEvent; input: ProviderInput },
  actors: {
    serveCalls: fromCallback<ProviderEvent, ProviderInput>(({ input, sendBack }) => {
      let provider: OpenProvider | undefined;
      try {
        provider = input.open((reason) => sendBack({ type: "provider.broken", reason }));
        sendBack({ type: "provider.opened", provider });
      } catch (error) {
        sendBack({ type: "provider.broken", reason: reasonOf(error) });
      }
      return () => void provider?.stop();
    }),
    closeCalls: fromPromise<void, OpenProvider | undefined>(async ({ input }) => input?.stop()),
  },
  actions: {
    rememberOpened: assign(({ event }) =>
      event.type === "provider.opened" ? { opened: event.provider } : {},
    ),
    rememberReason: assign(({ event }) => (event.type === "provider.broken" ? { reason: event.reason } : {})),
    stateStarting: ({ context }) => context.state("provider.starting", context.info),
    stateAvailable: ({ context }) => context.state("provider.available", context.info),
    stateFailed: ({ context }) =>
      context.state("provider.failed", { ...context.info, reason: context.reason }),
    stateStopped: ({ context }) =>
      context.state("provider.stopped", { ...context.info, reason: "it was told to" }),
    fail: ({ context }) => {
      throw new Failure("PROVIDER_UNAVAILABLE", context.reason);
    },
  },
}).createMachine({
  id: "provider",
  context: ({ input }) => ({ ...input, reason: "" }),
  initial: "open",
  states: {
    open: {
      entry: "stateStarting",
      invoke: { src: "serveCalls", input: ({ context }) => context },
      on: { stop: "draining", "provider.broken": { target: "failed", actions: "rememberReason" } },
      initial: "starting",
      states: {
        starting: { on: { "provider.opened": { target: "available", actions: "rememberOpened" } } },
        available: { entry: "stateAvailable" },
      },
    },
    draining: {
      invoke: {
        src: "closeCalls",
        input: ({ context }) => context.opened,
        onDone: "stopped",
        onError: "stopped",
      },
    },
    stopped: { type: "final", entry: "stateStopped" },
    failed: { entry: ["stateFailed", "fail"] },
  },
});
