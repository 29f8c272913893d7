import type { Refusals } from "../../src/bus/refusals.ts";
import { isNewUse } from "../../src/lattice/audit.ts";
import type { Speaker } from "../../src/lattice/speaker.ts";
import type { EngineEvent } from "../../src/wasm/engine.ts";
import type { InstanceTable } from "./instance-table.ts";

/** The latest that the engine said of its load. */
export type EngineLoad = Omit<Extract<EngineEvent, { type: "load" }>, "type">;

/** Passes on what an engine says: crashes to the instance, everything else as a fact. */
export function tellEngineEvent(
  event: EngineEvent,
  {
    speaker,
    instances,
    onLoad,
    refusals,
  }: {
    speaker: Speaker;
    instances: InstanceTable;
    onLoad: (load: EngineLoad) => void;
    refusals: Refusals;
  },
): void {
  switch (event.type) {
    case "instance.crashed":
      instances.tell(event.instanceId, { type: "engine.crashed", crash: event.crash });
      return;
    case "capability.denied": {
      const { type: _, ...denial } = event;
      speaker.state("capability.denied", { ...denial, fix: commandThatGrants(event, speaker) });
      return;
    }
    case "capability.used": {
      const { type: _, ...use } = event;
      // A cell tells anew what a guest uses in a later life, or after its grants were changed.
      const instance = speaker.own().instances.get(use.instanceId);
      if (instance !== undefined && isNewUse(instance, use)) speaker.state("capability.used", use);
      return;
    }
    case "cell.lost": {
      const { reason, blamed, moved } = event;
      speaker.state("cell.lost", { reason, moved, ...(blamed === undefined ? {} : { blamed }) });
      return;
    }
    case "bus.refused":
      refusals.add(event.operation, event.subject, event.count);
      return;
    case "load": {
      const { type: _, ...load } = event;
      onLoad(load);
    }
  }
}

function commandThatGrants(
  { instanceId, capabilityId, permission }: Extract<EngineEvent, { type: "capability.denied" }>,
  speaker: Speaker,
): string {
  if (permission === "") return "Nothing: no grant allows it.";
  const instance = speaker.own().instances.get(instanceId);
  const present = instance?.assignments.get(capabilityId)?.permissions ?? [];
  const permissions = [...new Set([...present, permission])].join(",");
  return `wasmatrix assign ${instance?.spec.name ?? instanceId} ${capabilityId}=${permissions}`;
}
