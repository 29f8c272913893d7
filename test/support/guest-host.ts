import type { GuestHost } from "../../src/wasm/guests/guest.ts";

/** A host that keeps what guests log, grants no capability, never lets time pass and sleeps no time at all. */
export function guestHost(parts: Partial<GuestHost> = {}): GuestHost & { readonly lines: string[] } {
  const lines: string[] = [];
  return {
    instanceId: "i-1",
    name: "guest",
    config: {},
    streams: {
      serve: () => "host.stream",
      open: () => ({ read: () => Promise.resolve(undefined), cancel: () => undefined }),
    },
    callCapability: () => Promise.reject(new Error("this test grants no capability")),
    beginCapability: () => Promise.reject(new Error("this test grants no capability")),
    beginGuestCall: () => Promise.reject(new Error("this test grants no call")),
    capabilityFor: (providerType) => providerType,
    linkedTarget: () => undefined,
    suspend: (work) => work(),
    answer: () => undefined,
    after: () => () => undefined,
    now: () => 0,
    sleep: () => Promise.resolve(),
    log: (stream, text) => lines.push(`${stream}: ${text}`),
    ...parts,
    lines,
  };
}

/** What `run` throws or rejects with; fails when it does neither. */
export async function thrownBy(run: () => unknown): Promise<unknown> {
  let answer: unknown;
  try {
    answer = await run();
  } catch (thrown) {
    return thrown;
  }
  throw new Error(`nothing was thrown, the answer was ${String(answer)}`);
}

/** UTF-8 bytes of a text. */
export function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text));
}

/** The text of UTF-8 bytes. */
export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}
