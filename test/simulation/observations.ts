import type { Fact, FactReplay } from "../../src/protocol/facts.ts";

/** What those who look on see of a simulated lattice, in the order in which it happens. */
export type Observation =
  /** A process began its life on that host. */
  | { readonly type: "began"; readonly host: string; readonly kind: HostKind }
  | {
      readonly type: "ended";
      readonly host: string;
      readonly kind: HostKind;
      readonly how: "killed" | "left";
    }
  /** A node stated a fact, be it that nobody hears it. */
  | { readonly type: "stated"; readonly host: string; readonly fact: Fact; readonly clockMs: number }
  /** A fact or a part of a replay was handed to a process. */
  | { readonly type: "heard"; readonly host: string; readonly said: Fact | FactReplay }
  /** A guest ended in its cell, and its engine says so. */
  | { readonly type: "guest.crashed"; readonly host: string; readonly instanceId: string }
  | { readonly type: "engine.ended"; readonly host: string }
  /** A capability call passed the check of its cell and went off to a provider. */
  | {
      readonly type: "call.left";
      readonly host: string;
      readonly uid: string;
      readonly instanceId: string;
      readonly incarnation: number;
    }
  /** A provider performed it. */
  | {
      readonly type: "call.performed";
      readonly host: string;
      readonly uid: string;
      readonly instanceId: string;
    }
  /** Its guest was told so much; `done`, or a failure's code. */
  | { readonly type: "call.settled"; readonly uid: string; readonly outcome: string; readonly tookMs: number }
  | {
      readonly type: "command.sent";
      readonly client: string;
      readonly commandId: string;
      readonly name: string;
      readonly question: Record<string, unknown>;
    }
  /** `outcome` is `done`, or a failure's code. */
  | {
      readonly type: "command.settled";
      readonly client: string;
      readonly commandId: string;
      readonly name: string;
      readonly question: Record<string, unknown>;
      readonly outcome: string;
      readonly answer: Record<string, unknown> | undefined;
      readonly tookMs: number;
      readonly timeoutMs: number;
    }
  /** What a control plane tells, asked on the spot and not over the network. */
  | { readonly type: "told"; readonly host: string; readonly view: ToldView }
  | { readonly type: "bus.lost" | "bus.regained"; readonly host: string }
  | { readonly type: "message"; readonly host: string; readonly subject: string; readonly data: Uint8Array }
  /** A control plane was handed another one's beat. */
  | { readonly type: "beat"; readonly host: string; readonly from: string; readonly ready: boolean }
  /** Another control plane has told it what it heard of nodes that cannot be asked. */
  | { readonly type: "recalled"; readonly host: string; readonly parts: readonly FactReplay[] }
  /** A fact about that instance that was handed to this host was put in the place of another one of the same number. */
  | {
      readonly type: "garbled";
      readonly host: string;
      readonly node: string;
      readonly seq: number;
      readonly instanceId: string;
    }
  | { readonly type: "paused" | "resumed"; readonly host: string }
  /** A fault began; for the trace and for those who must make allowance for it. */
  | { readonly type: "fault"; readonly kind: string; readonly about: string; readonly forMs: number }
  /** From here on nothing is disturbed any more and nobody commands anything. */
  | { readonly type: "healed" };

/** What kinds of processes there are. */
export type HostKind = "node" | "provider" | "control-plane" | "client";

/** The answers of a control plane to every list that it has. */
export interface ToldView {
  readonly view: { readonly complete: boolean; readonly gaps: readonly string[] };
  readonly nodes: readonly Told[];
  readonly instances: readonly Told[];
  readonly assignments: readonly Told[];
  readonly providers: readonly Told[];
}

/** An entry of a list. */
export type Told = Readonly<Record<string, unknown>>;

/** Looks on, and says so once something is not as it must be. */
export type Checker = (observation: Observation) => void;
