import { kvLimits } from "../../limits.ts";
import type { Capability } from "../capability.ts";
import { type KvReply, type KvRequest, kvBucket } from "./contract.ts";
import { encodeKvReply } from "./encode-reply.ts";
import { type KvLimits, stopped } from "./failures.ts";
import { parseKvRequest } from "./parse-request.ts";

/** What a backend does: the operations of the contract, on requests that were checked. */
export interface KvStore {
  /** `bucket` is that of `kvBucket`. May keep the values of the request; those of its reply belong to the caller. */
  perform(bucket: string, request: KvRequest): KvReply | Promise<KvReply>;
  /** Rejects with the reason, a `Failure`, while the store could not serve a call. */
  check(): Promise<void>;
  /** Called once, when nothing is in progress any more. */
  close(): Promise<void>;
}

/** A kv capability that also tells whether its backend is well. */
export type KvCapability = Capability & Pick<KvStore, "check">;

/** The side of every kv backend that faces its caller: payloads, limits, and an orderly end. */
export function kvCapability(store: KvStore, limits: KvLimits = kvLimits): KvCapability {
  let inProgress = 0;
  let idle: (() => void) | undefined;
  let closing: Promise<void> | undefined;

  async function close(): Promise<void> {
    if (inProgress > 0) await new Promise<void>((resolve) => (idle = resolve));
    await store.close();
  }

  return {
    providerType: "kv",
    async call(scope, operation, payload) {
      if (closing !== undefined) throw stopped();
      const bucket = kvBucket(scope);
      const { request, form } = parseKvRequest(operation, payload, limits);
      inProgress += 1;
      try {
        const reply = await store.perform(bucket, request);
        return encodeKvReply(reply, form);
      } finally {
        inProgress -= 1;
        if (inProgress === 0) idle?.();
      }
    },
    async check() {
      if (closing !== undefined) throw stopped();
      await store.check();
    },
    close() {
      closing ??= close();
      return closing;
    },
  };
}
