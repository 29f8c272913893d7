/** Whether everything that a node promised is there. */
export interface Readiness {
  readonly ready: Promise<void>;
  joined(): void;
  done(part: string): void;
  /** A part that was not there yet ended. */
  failed(part: string, reason: string): void;
  broken(error: unknown): void;
}

/** Waits for the node to join and for each of its parts. */
export function createReadiness(parts: readonly string[]): Readiness {
  const missing = new Set(["node", ...parts]);
  const all = Promise.withResolvers<void>();
  // Not everybody waits for it; an unheard rejection must not end the process.
  all.promise.catch(() => undefined);
  const done = (part: string) => {
    missing.delete(part);
    if (missing.size === 0) all.resolve();
  };
  return {
    ready: all.promise,
    joined: () => done("node"),
    done,
    failed(part, reason) {
      if (missing.has(part)) all.reject(new Error(`${part} did not start: ${reason}`));
    },
    broken: (error) => all.reject(error as Error),
  };
}
