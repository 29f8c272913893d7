import type { Bus } from "../../../src/bus/bus.ts";
import { connectNats } from "../../../src/bus/nats-bus.ts";
import { serve } from "../../../src/bus/serve.ts";
import { systemClock } from "../../../src/clock.ts";
import { createSpeaker, type Speaker } from "../../../src/lattice/speaker.ts";
import type { InstanceView } from "../../../src/lattice/view.ts";
import { controlPlaneLimits } from "../../../src/limits.ts";
import { filterFor } from "../../../src/protocol/addresses.ts";
import type { InstanceSummary } from "../../../src/protocol/instance-spec.ts";
import { lattice } from "../guest-engine.ts";
import { answerQuestions } from "../program.ts";
import { tellInstance, tellJoined } from "../speaking-node.ts";

// What many nodes say, and answer when they are asked to say it again or to start something, without their guests: a
// machine of two cores cannot run ten engines. Each has a connection of its own, as nodes do: one for all of them would
// hold back more than a connection may.

const [url = "", nodes = "", instancesPerNode = ""] = process.argv.slice(2);
for (let number = 0; number < Number(nodes); number += 1) await joinAs(`node-${number}`);
answerQuestions(() => Promise.resolve());

async function joinAs(nodeId: string): Promise<void> {
  const bus = await connectNats({ servers: url, name: `benchmark-${nodeId}`, connectTimeoutMs: 5_000 });
  const speaker = createSpeaker({
    lattice,
    nodeId,
    clock: systemClock,
    publish(subject, data) {
      try {
        bus.publish(subject, data);
      } catch {
        // As with a real node: the control plane asks for what it missed.
      }
    },
  });
  tellJoined(speaker);
  for (let number = 0; number < Number(instancesPerNode); number += 1) tellInstance(speaker, number);
  serveCommands(bus, speaker);
  bus.subscribe(filterFor("nodes.replay", { lattice }), () => void speaker.tellAll());
  setInterval(
    () => speaker.heartbeat({ instances: speaker.own().instances.size }),
    controlPlaneLimits.heartbeatPeriodMs,
  );
  await bus.flush();
}

/** Whatever is asked for runs at once. */
function serveCommands(bus: Bus, speaker: Speaker): void {
  const here = { lattice, node: speaker.nodeId };
  serve(bus, systemClock, "node.fact.replay", here, () => speaker.tellAll());
  serve(bus, systemClock, "node.node.ping", here, () => ({ epoch: speaker.epoch }));
  serve(bus, systemClock, "node.instance.start", here, ({ template, instanceIds, incarnation }) => {
    for (const instanceId of instanceIds) {
      const spec = { ...template, instanceId, incarnation };
      speaker.state("instance.starting", { spec, restarts: 0 }, template.commandId);
      speaker.state("instance.running", { instanceId, restarts: 0 }, template.commandId);
    }
    const { instances } = speaker.own();
    const started = instanceIds.flatMap((instanceId) => instances.get(instanceId) ?? []);
    return { instances: started.map(summaryOf), failed: [] };
  });
}

function summaryOf({ nodeId, spec, status, restarts, since }: InstanceView): InstanceSummary {
  const { instanceId, name, moduleHash, createdAt, incarnation } = spec;
  const named = name === undefined ? {} : { name };
  return { instanceId, nodeId, ...named, moduleHash, createdAt, status, incarnation, restarts, since };
}
