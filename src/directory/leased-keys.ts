import { type Clock, delay } from "../clock.ts";
import { directoryLimits } from "../limits.ts";
import { asFailure } from "../protocol/errors.ts";
import { type EtcdGateway, grpcNotFound } from "./etcd-gateway.ts";
import type { Outage } from "./outage.ts";

/** Keys that are in etcd for as long as this process renews its lease. */
export interface LeasedKeys {
  /** Has that key there with that value. */
  put(key: string, value: string): void;
  remove(key: string): void;
  /** Takes all of them out, if that can be done soon. Always resolves. */
  close(): Promise<void>;
}

/** Grants a lease at the first key; one that was lost is granted anew, and the keys are put again under it. */
export function createLeasedKeys({
  gateway,
  clock,
  outage,
}: {
  gateway: EtcdGateway;
  clock: Clock;
  outage: Outage;
}): LeasedKeys {
  const wanted = new Map<string, string>();
  /** What is there under the present lease. */
  const written = new Map<string, string>();
  const over = new AbortController();
  let lease: string | undefined;
  let changed = Promise.withResolvers<void>();
  let running: Promise<void> | undefined;

  function change(): void {
    changed.resolve();
    if (!over.signal.aborted) running ??= run();
  }

  async function run(): Promise<void> {
    let pauseMs: number = directoryLimits.retryMs;
    while (!over.signal.aborted) {
      changed = Promise.withResolvers();
      try {
        lease = await renewed();
        await write(lease);
        outage.succeeded("keeping");
        pauseMs = directoryLimits.retryMs;
        await Promise.race([changed.promise, pause(directoryLimits.renewMs)]);
      } catch (error) {
        if (over.signal.aborted) return;
        // A lease that expired between its renewal and its use is no outage.
        if (asFailure(error).details?.["grpcCode"] === grpcNotFound) forgetLease();
        else outage.failed("keeping", error);
        await pause(pauseMs);
        pauseMs = Math.min(pauseMs * 2, directoryLimits.retryMsMax);
      }
    }
  }

  const ask = (path: string, question: object) => gateway.ask(path, question, { signal: over.signal });
  const pause = (ms: number) => delay(clock, ms, over.signal).catch(() => undefined);

  function forgetLease(): void {
    lease = undefined;
    written.clear();
  }

  async function renewed(): Promise<string> {
    if (lease !== undefined) {
      const { result } = (await ask("/v3/lease/keepalive", { ID: lease })) as Answer;
      if (result?.TTL !== undefined && result.TTL !== "0") return lease;
      forgetLease();
    }
    const { ID } = (await ask("/v3/lease/grant", { TTL: String(directoryLimits.leaseTtlS) })) as Answer;
    if (typeof ID !== "string") throw new Error("etcd granted a lease without an id");
    return ID;
  }

  /** One that etcd does not take keeps none of the others out. */
  async function write(under: string): Promise<void> {
    const failures: unknown[] = [];
    for (const [key, value] of wanted) {
      if (written.get(key) === value) continue;
      const entry = { key: base64(key), value: base64(value), lease: under };
      await ask("/v3/kv/put", entry).then(
        () => written.set(key, value),
        (error: unknown) => failures.push(error),
      );
    }
    for (const key of written.keys()) {
      if (wanted.has(key)) continue;
      await ask("/v3/kv/deleterange", { key: base64(key) }).then(
        () => written.delete(key),
        (error: unknown) => failures.push(error),
      );
    }
    if (failures.length > 0) throw failures[0];
  }

  return {
    put(key, value) {
      wanted.set(key, value);
      change();
    },
    remove(key) {
      wanted.delete(key);
      change();
    },
    async close() {
      over.abort(new Error("the directory is closed"));
      await running;
      if (lease === undefined) return;
      const revoked = gateway.ask(
        "/v3/lease/revoke",
        { ID: lease },
        { timeoutMs: directoryLimits.closeTimeoutMs },
      );
      lease = undefined;
      await revoked.catch(() => undefined);
    },
  };
}

interface Answer {
  readonly ID?: unknown;
  readonly result?: { readonly TTL?: unknown };
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
