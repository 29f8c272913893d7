import { ask } from "../../../src/bus/ask.ts";
import { delay, systemClock } from "../../../src/clock.ts";
import { chaosLimits } from "./limits.ts";
import type { Struck } from "./strike.ts";
import type { Buses } from "./truth.ts";

/** When the loss of a node was noticed, and when nothing was missing any more; ms after the fault. */
export interface Loss {
  readonly nodeId: string;
  /** Undefined where it came back before anybody noticed. */
  readonly noticedMs: number | undefined;
  readonly recoveredMs: number | undefined;
}

/** Looks again and again at what the control planes say of the nodes. */
export interface LossWatch {
  /** The losses of nodes that these faults brought about. */
  lossesOf(struck: readonly Struck[]): Loss[];
  stop(): Promise<void>;
}

interface Sample {
  readonly at: number;
  readonly lost: ReadonlySet<string>;
  readonly unreachable: number;
}

/** `stays` names instances that are to wait for their node; they are not counted as missing. */
export function watchLosses(lattice: string, buses: Buses, stays: (name: string) => boolean): LossWatch {
  const samples: Sample[] = [];
  let goesOn = true;

  async function look(turn: number): Promise<void> {
    const list = [...buses.values()];
    const bus = list[turn % list.length];
    if (bus === undefined) return;
    const options = { timeoutMs: chaosLimits.askMs / 2 };
    const [{ nodes }, { instances }] = await Promise.all([
      ask(bus, "ctl.node.list", { lattice }, {}, options),
      ask(bus, "ctl.instance.list", { lattice }, {}, options),
    ]);
    samples.push({
      at: Date.now(),
      lost: new Set(nodes.filter(({ status }) => status === "lost").map(({ nodeId }) => nodeId)),
      unreachable: instances.filter(({ status, name = "" }) => status === "unreachable" && !stays(name))
        .length,
    });
  }
  const watching = (async () => {
    for (let turn = 0; goesOn; turn += 1) {
      // The control plane, the server or the way to it may be what has failed.
      await look(turn).catch(() => undefined);
      await delay(systemClock, chaosLimits.lookEveryMs);
    }
  })();

  return {
    lossesOf: (struck) =>
      struck
        .filter(({ fault }) => takesNodesAway.has(fault.kind))
        .flatMap(({ fault, beganAt, endedAt }) =>
          fault.targets
            .filter((id) => id.startsWith("node-"))
            .map((nodeId) => lossOf(samples, nodeId, beganAt, endedAt)),
        ),
    async stop() {
      goesOn = false;
      await watching;
    },
  };
}

const takesNodesAway: ReadonlySet<string> = new Set(["kill", "freeze", "partition", "mute"]);

function lossOf(samples: readonly Sample[], nodeId: string, from: number, until: number): Loss {
  const noticed = samples.find(({ at, lost }) => at > from && at < until && lost.has(nodeId));
  const recovered = samples.find(
    ({ at, unreachable }) => noticed !== undefined && at > noticed.at && unreachable === 0,
  );
  return {
    nodeId,
    noticedMs: noticed === undefined ? undefined : noticed.at - from,
    recoveredMs: recovered === undefined ? undefined : recovered.at - from,
  };
}
