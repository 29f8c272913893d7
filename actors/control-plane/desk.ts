import type { Bus } from "../../src/bus/bus.ts";
import type { Clock } from "../../src/clock.ts";
import type { LatticeView } from "../../src/lattice/view.ts";
import type { Log } from "../../src/log.ts";
import type { ViewStatus } from "../../src/protocol/reply.ts";
import type { GuestKindsOfModules } from "./guest-kinds.ts";
import type { Peers } from "./peers.ts";
import type { Presence } from "./presence.ts";
import type { RecentFacts } from "./recent-facts.ts";
import type { RepeatedCommands } from "./repeated-commands.ts";
import type { SignedGrants } from "./signed-grants.ts";

/** What every command handler has before it: the view, and the ways to act on it. */
export interface Desk {
  readonly lattice: string;
  readonly controlPlaneId: string;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  readonly view: LatticeView;
  readonly presence: Presence;
  readonly peers: Peers;
  readonly facts: RecentFacts;
  /** What modules are, as far as nodes have said so while this process listened. */
  readonly guestKinds: GuestKindsOfModules;
  readonly commands: RepeatedCommands;
  /** Absent on a lattice without roots: nothing is signed there. */
  readonly grants: SignedGrants | undefined;
  /** Tells providers that grants are over, where those are signed. */
  revoke(grantIds: readonly string[]): void;
  /** Instance ids of starts in progress, which the view does not know yet, with their names. */
  readonly reserved: Map<string, string | undefined>;
  /** Names of providers whose starts are in progress. */
  readonly startingProviders: Set<string>;
  /** Whether the view is known to be whole; false after this process was off the bus, or slept, until it is so again. */
  isReady(): boolean;
  /** Resolves once the view is known to be whole, also again after a reconnect. */
  whenReady(): Promise<void>;
  /** How far the view can be trusted now. */
  viewStatus(): ViewStatus;
}
