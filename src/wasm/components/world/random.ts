import { randomBytes, randomFillSync } from "node:crypto";
import { componentLimits } from "../../../limits.ts";
import { GuestFault } from "../../guests/guest-faults.ts";
import type { ComponentHost } from "./component-host.ts";

/**
 * `wasi:random`. The insecure interfaces are as good as the other one. Asking for more bytes at once than
 * `componentLimits.randomBytesMax` ends the guest: the interface has no error for it.
 */
export function randomInterfaces(host: ComponentHost) {
  const bytes = (len: bigint): Uint8Array => {
    if (len > BigInt(componentLimits.randomBytesMax)) {
      throw new GuestFault(
        `the guest asked for ${len} random bytes at once; ${componentLimits.randomBytesMax} are allowed`,
      );
    }
    host.pay(Number(len));
    // Not randomBytes, whose result may share its memory with others.
    return randomFillSync(new Uint8Array(Number(len)));
  };
  const number = () => randomBytes(8).readBigUInt64LE();
  const seed = (): [bigint, bigint] => [number(), number()];

  return {
    "wasi:random/random": { getRandomBytes: bytes, getRandomU64: number },
    "wasi:random/insecure": { getInsecureRandomBytes: bytes, getInsecureRandomU64: number },
    // Renamed in 0.2.8.
    "wasi:random/insecure-seed": { insecureSeed: seed, getInsecureSeed: seed },
  };
}
