import { describe } from "vitest";
import { checkConnection } from "./bus-contract-connection.ts";
import { checkMessages } from "./bus-contract-messages.ts";
import { checkRequests } from "./bus-contract-requests.ts";
import type { BusUnderTest } from "./bus-network.ts";
import { networkOf } from "./bus-network.ts";

/** What every bus does, whatever carries it. */
export function busContract(name: string, start: () => Promise<BusUnderTest>): void {
  describe(`${name} keeps the contract of the bus:`, () => {
    const network = networkOf(start);
    checkMessages(network);
    checkRequests(network);
    checkConnection(network);
  });
}
