import { connectNats } from "../../../src/bus/nats-bus.ts";
import { serve } from "../../../src/bus/serve.ts";
import { systemClock } from "../../../src/clock.ts";
import { createSpeaker } from "../../../src/lattice/speaker.ts";
import { controlPlaneLimits } from "../../../src/limits.ts";
import { filterFor } from "../../../src/protocol/addresses.ts";
import { InstanceSpec } from "../../../src/protocol/instance-spec.ts";
import { lattice } from "../guest-engine.ts";
import { answerQuestions } from "../program.ts";

// What many nodes say, and answer when they are asked to say it again, without their guests: a machine of two cores
// cannot run ten engines.

const [url = "", nodes = "", instancesPerNode = ""] = process.argv.slice(2);
const bus = await connectNats({ servers: url, name: "benchmark-nodes", connectTimeoutMs: 5_000 });

for (let number = 0; number < Number(nodes); number += 1) await joinAs(`node-${number}`);
await bus.flush();
answerQuestions(() => Promise.resolve());

async function joinAs(nodeId: string): Promise<void> {
  const speaker = createSpeaker({
    lattice,
    nodeId,
    clock: systemClock,
    publish: (subject, data) => bus.publish(subject, data),
  });
  speaker.state("node.joined", {
    productVersion: "0.1.0",
    protocolVersion: "1.0",
    hostname: nodeId,
    pid: process.pid,
    labels: { zone: "eu" },
    guestKinds: ["wapc"],
    instancesMax: 10_000,
  });
  for (let number = 0; number < Number(instancesPerNode); number += 1) {
    const instanceId = `${nodeId}-${number}`;
    const spec = InstanceSpec.parse({
      instanceId,
      name: "greeter",
      moduleHash: `sha256:${"ab".repeat(32)}`,
      capabilities: [{ capabilityId: "store", providerType: "kv", permissions: ["kv:read", "kv:write"] }],
      restartPolicy: { type: "backoff" },
      commandId: "benchmark",
      createdAt: new Date(systemClock.now()).toISOString(),
      incarnation: 1,
    });
    speaker.state("instance.starting", { spec, restarts: 0 });
    speaker.state("instance.running", { instanceId, restarts: 0 });
  }
  serve(bus, systemClock, "node.fact.replay", { lattice, node: nodeId }, () => speaker.tellAll());
  bus.subscribe(filterFor("nodes.replay", { lattice }), () => void speaker.tellAll());
  setInterval(
    () => speaker.heartbeat({ instances: Number(instancesPerNode) }),
    controlPlaneLimits.heartbeatPeriodMs,
  );
  await bus.flush();
}
