import { fromPromise } from "xstate";
import { Failure } from "../../src/protocol/errors.ts";
import type { Engine, EngineEvent, EngineLauncher } from "../../src/wasm/engine.ts";

/** Where the node's engine is, when there is one. */
export interface EngineSeat {
  readonly current: Engine | undefined;
  /** Resolves with the engine, once there is one; rejects with the signal's reason. */
  whenThere(signal: AbortSignal): Promise<Engine>;
  /** The engine for something that cannot wait; NODE_UNAVAILABLE without one. */
  now(): Engine;
  take(engine: Engine | undefined): void;
}

/** A seat without an engine. */
export function createEngineSeat(): EngineSeat {
  let current: Engine | undefined;
  let there = Promise.withResolvers<Engine>();
  return {
    get current() {
      return current;
    },
    async whenThere(signal) {
      signal.throwIfAborted();
      if (current !== undefined) return current;
      const aborted = Promise.withResolvers<never>();
      const onAbort = () => aborted.reject(signal.reason as Error);
      signal.addEventListener("abort", onAbort, { once: true });
      try {
        return await Promise.race([there.promise, aborted.promise]);
      } finally {
        signal.removeEventListener("abort", onAbort);
      }
    },
    now() {
      if (current !== undefined) return current;
      throw new Failure("NODE_UNAVAILABLE", "the node's engine is being started again", {
        fix: "Try again in a second, or on another node.",
      });
    },
    take(engine) {
      current = engine;
      if (engine === undefined) there = Promise.withResolvers();
      else there.resolve(engine);
    },
  };
}

/** What one life of an engine is started with. */
export interface EngineChildInput {
  launch: EngineLauncher;
  onEvent: (event: EngineEvent) => void;
  onUp: (engine: Engine) => void;
  /** Called for an engine that was up. */
  onDown: (reason: string) => void;
}

/** One life of the engine process: rejects when it ends, so that its supervisor starts the next one. */
export const engineChild = fromPromise<never, EngineChildInput>(async ({ input, signal }) => {
  const ended = Promise.withResolvers<string>();
  let isUp = false;
  let hasEnded = false;
  const engine = await input.launch(input.onEvent, (reason) => {
    // Here and not after the promise: those who wait on this engine learn of its end before their rejections.
    if (isUp) input.onDown(reason);
    isUp = false;
    hasEnded = true;
    ended.resolve(reason);
  });
  if (signal.aborted) await engine.close();
  isUp = !signal.aborted && !hasEnded;
  if (isUp) input.onUp(engine);
  throw new Failure("COMMUNICATION_FAILURE", `the engine ended: ${await ended.promise}`);
});
