import type { Bus, BusMessage } from "../../src/bus/bus.ts";
import { createStreams } from "../../src/bus/streams.ts";
import type { ByteSource, ByteStreams } from "../../src/byte-source.ts";
import type { Capability } from "../../src/capabilities/capability.ts";
import { type Clock, delay } from "../../src/clock.ts";
import { providerLifeLimits } from "../../src/limits.ts";
import type { Log } from "../../src/log.ts";
import { Failure } from "../../src/protocol/errors.ts";
import type { LatticeWatch } from "../lattice-watch/lattice-watch.ts";
import { watchGrantHolders } from "./grant-holders.ts";
import { openProviderCalls } from "./provider-calls.ts";
import type { Proofs } from "./proofs.ts";
import type { HostedProvider } from "./provider-kind.ts";
import { withoutSecrets } from "./secrets.ts";

/** One life of a provider: its capability, open for calls. */
export interface OpenProvider {
  readonly address?: string;
  /** Resolves with the reason once it cannot go on; maybe never. */
  readonly broken: Promise<string>;
  /** Rejects with a `Failure` that says why it is not well. */
  check(): Promise<void>;
  /**
   * No new calls from here on; resolves once those in progress are answered, bodies of earlier answers are read and
   * the capability is closed, or its deadlines are over. Never rejects; a second stop gets the same promise.
   */
  stop(): Promise<void>;
}

/** What a host gives to each provider that it opens. */
export interface ProviderHost {
  readonly lattice: string;
  readonly nodeId: string;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  readonly watch: LatticeWatch;
  /** Absent where the word of a node is enough for a grant. */
  readonly proofs?: Proofs | undefined;
  /** Where each of its providers leaves word of the calls that it is working on. */
  readonly inProgress: Set<() => Iterable<BusMessage>>;
  /** The bus refused a connection of a provider something. */
  readonly busRefused: (operation: "publish" | "subscribe", subject: string) => void;
  /** Messages for an instance were lost in that provider. */
  readonly dropped: (provider: string, instanceId: string, topic: string, count: number) => void;
}

/**
 * Makes the capability, tells it who may call it, and subscribes. Resolves once the server delivers calls to it; rejects
 * with a `Failure` without secrets, and then nothing of it is left.
 */
export async function openProvider(host: ProviderHost, hosted: HostedProvider): Promise<OpenProvider> {
  const { lattice, nodeId, bus, clock, watch, proofs } = host;
  proofs?.start();
  const { provider, providerType, config } = hosted;
  const log = host.log.child({ provider });
  const streams = createStreams({ lattice, holder: nodeId, bus, clock });
  const bodies = countBodies(streams);
  const { promise: broken, resolve: breakOff } = Promise.withResolvers<string>();
  const onBroken = (reason: string) =>
    breakOff(withoutSecrets(new Failure("PROVIDER_UNAVAILABLE", reason), config).message);
  let address: string | undefined;
  let capability: Capability | undefined;
  try {
    capability = await hosted.create(
      {
        lattice,
        nodeId,
        provider,
        bus,
        clock,
        log,
        streams: bodies.streams,
        announce: (text) => void (address = text),
        broken: onBroken,
        busRefused: host.busRefused,
        dropped: (...lost) => host.dropped(provider, ...lost),
      },
      config,
    );
    assertType(capability, hosted);
    const tellHolders = capability.granted?.bind(capability);
    const holders =
      tellHolders === undefined
        ? undefined
        : watchGrantHolders({
            lattice,
            provider,
            providerType,
            clock,
            watch,
            proofs,
            hears: () => bus.connected,
            onHolders: tellHolders,
          });
    const calls = openProviderCalls({
      lattice,
      provider,
      capability,
      bus,
      clock,
      log,
      watch,
      proofs,
      onBroken,
      streams: bodies.streams,
      inProgress: host.inProgress,
    });
    const end = once(async () => {
      await within(
        clock,
        calls.stop().then(() => bodies.whenRead()),
        providerLifeLimits.drainMs,
      );
      streams.close("the provider stopped");
      holders?.end();
      await within(clock, closed(capability), providerLifeLimits.closeMs);
    });
    await bus.flush().catch(async (error: unknown) => {
      await end();
      throw error;
    });
    return {
      ...(address === undefined ? {} : { address }),
      broken,
      async check() {
        holders?.look();
        // While the bus is away nobody can call it, and what it keeps there says nothing about it.
        if (bus.connected) await capability?.check?.();
      },
      stop: end,
    };
  } catch (error) {
    streams.close("the provider could not be opened");
    await within(clock, closed(capability), providerLifeLimits.closeMs);
    throw withoutSecrets(error, config);
  }
}

function assertType(capability: Capability, { providerType }: HostedProvider): void {
  if (capability.providerType === providerType) return;
  throw new Failure(
    "INVALID_REQUEST",
    `what was made is of the type ${capability.providerType}, not ${providerType}`,
    {
      fix: "Let the file export `providerType` with the type of the capability that it makes, or be called like it.",
    },
  );
}

/** Streams that know how many of their bodies are not read to the end yet. */
function countBodies(streams: ByteStreams): { streams: ByteStreams; whenRead(): Promise<void> } {
  const open = new Set<ByteSource>();
  let onRead: (() => void) | undefined;
  const done = (source: ByteSource) => {
    if (open.delete(source) && open.size === 0) onRead?.();
  };
  return {
    streams: {
      open: (ref) => streams.open(ref),
      serve(source) {
        const counted: ByteSource = {
          async read(bytesMax) {
            try {
              const piece = await source.read(bytesMax);
              if (piece === undefined) done(counted);
              return piece;
            } catch (error) {
              done(counted);
              throw error;
            }
          },
          cancel(reason) {
            done(counted);
            source.cancel(reason);
          },
        };
        open.add(counted);
        return streams.serve(counted);
      },
    },
    whenRead: () =>
      open.size === 0 ? Promise.resolve() : new Promise<void>((resolve) => void (onRead = resolve)),
  };
}

/** A capability of somebody else may throw where it must not; the end goes on. */
async function closed(capability: Capability | undefined): Promise<void> {
  await capability?.close();
}

function once(work: () => Promise<void>): () => Promise<void> {
  let under: Promise<void> | undefined;
  return () => (under ??= work());
}

/** Waits for the work, or until its time is up; its failure is not ours. */
async function within(clock: Clock, work: Promise<unknown>, ms: number): Promise<void> {
  const over = new AbortController();
  const settled = work.catch(() => undefined);
  await Promise.race([settled, delay(clock, ms, over.signal).catch(() => undefined)]);
  over.abort(new Error("in time"));
}
