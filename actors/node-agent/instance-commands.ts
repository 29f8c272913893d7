import type { Subscription } from "../../src/bus/bus.ts";
import { type AnswerOf, type RequestOf, serve } from "../../src/bus/serve.ts";
import { timestamp } from "../../src/clock.ts";
import { errorBody, Failure } from "../../src/protocol/errors.ts";
import type { InstanceSummary, ProvenAssignment } from "../../src/protocol/instance-spec.ts";
import type { NodeInstanceStart, NodeInstancesDone } from "../../src/protocol/node-commands.ts";
import type { InstanceActor } from "../instance/instance-machine.ts";
import { summaryOf, untilRunning, untilStopped } from "./instance-table.ts";
import type { Modules } from "./module-commands.ts";
import type { NodeWorld } from "./node-world.ts";

/** Serves `instance.start`, `instance.stop` and `instance.restart` of a node. */
export function serveInstanceCommands(world: NodeWorld, modules: Modules): Subscription[] {
  const { lattice, nodeId, bus, clock } = world;
  const here = { lattice, node: nodeId };
  return [
    serve(bus, clock, "node.instance.start", here, (request) => start(world, modules, request)),
    serve(bus, clock, "node.instance.yield", here, ({ instanceIds }) => {
      const here = instanceIds.filter((instanceId) => world.instances.get(instanceId) !== undefined);
      for (const instanceId of here) world.speaker.state("instance.yielding", { instanceId });
      return { instances: here };
    }),
    serve(bus, clock, "node.instance.fence", here, ({ instances }) => fence(world, instances)),
    serve(bus, clock, "node.instance.stop", here, ({ instanceIds, commandId }) =>
      each(world, instanceIds, (instanceId) =>
        world.changes.once(commandId, instanceId, async () => {
          const actor = alive(world, instanceId);
          actor.send({ type: "instance.stop", reason: "it was told to", cause: commandId });
          await untilStopped(actor);
        }),
      ),
    ),
    serve(bus, clock, "node.instance.restart", here, ({ instanceIds, commandId }) =>
      each(world, instanceIds, (instanceId) =>
        world.changes.once(commandId, instanceId, async () => {
          const actor = alive(world, instanceId);
          actor.send({ type: "instance.restart", cause: commandId });
          await untilRunning(actor);
        }),
      ),
    ),
  ];
}

/** An instance that has not ended; INSTANCE_NOT_FOUND or INSTANCE_UNAVAILABLE for any other. */
export function alive({ instances, speaker, nodeId }: NodeWorld, instanceId: string): InstanceActor {
  const actor = instances.get(instanceId);
  if (actor !== undefined) return actor;
  if (speaker.own().instances.has(instanceId)) {
    throw new Failure("INSTANCE_UNAVAILABLE", `instance ${instanceId} is stopped already`, {
      fix: "Start it again with instance.start; a stopped instance cannot be changed.",
      retry: "never",
    });
  }
  throw new Failure("INSTANCE_NOT_FOUND", `node ${nodeId} has no instance ${instanceId}`, {
    fix: "wasmatrix list shows the instances that there are.",
  });
}

async function start(world: NodeWorld, modules: Modules, request: NodeInstanceStart): Promise<Answer> {
  const { template, instanceIds, holders, wait } = request;
  if (!world.takesInstances()) {
    throw new Failure(
      "NODE_UNAVAILABLE",
      `node ${world.nodeId} takes no instances: it is leaving or has no engine`,
      {
        fix: "Start it on another node.",
      },
    );
  }
  const fresh = instanceIds.some((instanceId) => !isRepeated(world, instanceId, request));
  const begin = () =>
    each(world, instanceIds, async (instanceId) => {
      const known = isRepeated(world, instanceId, request);
      const actor = beginOne(world, instanceId, request);
      const { from } = request;
      if (from !== undefined && !known) tellRelocated(world, instanceId, request, from);
      if (actor !== undefined && wait === "running") await untilRunning(actor);
    });
  const wanted = { digest: template.moduleHash, holders, source: template.moduleSource };
  return fresh ? modules.withModule(wanted, template.limits, begin) : begin();
}

/** Says that it runs here now, and what its former incarnation used and was refused: that is known of the instance. */
function tellRelocated(
  { speaker }: NodeWorld,
  instanceId: string,
  { incarnation, template, audited = [] }: NodeInstanceStart,
  from: string,
): void {
  speaker.state("instance.relocated", { instanceId, incarnation, from }, template.commandId);
  for (const record of audited) {
    if (record.data.instanceId !== instanceId) continue;
    if (record.kind === "capability.used") speaker.state(record.kind, record.data);
    else speaker.state(record.kind, record.data);
  }
}

/** Whether this very command made that incarnation before, or a later one. */
function isRepeated({ speaker }: NodeWorld, instanceId: string, request: NodeInstanceStart): boolean {
  const spec = speaker.own().instances.get(instanceId)?.spec;
  return spec?.commandId === request.template.commandId && spec.incarnation >= request.incarnation;
}

/** Whether a later start command has had that id here: whoever asks was off the bus when the instance that it means ended. */
function isOvertaken({ speaker }: NodeWorld, instanceId: string, { template }: NodeInstanceStart): boolean {
  const spec = speaker.own().instances.get(instanceId)?.spec;
  return spec !== undefined && spec.commandId !== template.commandId && spec.createdAt > template.createdAt;
}

/** Ends the copies that are meant, and says for whom they make room. */
async function fence(
  world: NodeWorld,
  copies: RequestOf<"node.instance.fence">["instances"],
): Promise<Answer> {
  const { speaker } = world;
  const byId = new Map(copies.map((copy) => [copy.instanceId, copy]));
  return each(world, [...byId.keys()], async (instanceId) => {
    const actor = world.instances.get(instanceId);
    const copy = byId.get(instanceId);
    const spec = speaker.own().instances.get(instanceId)?.spec;
    if (actor === undefined || copy === undefined || spec?.incarnation !== copy.incarnation) return;
    const { incarnation, by } = copy;
    speaker.state("instance.fenced", { instanceId, incarnation, by });
    const reason = `incarnation ${by.incarnation} of it runs on node ${by.nodeId}`;
    actor.send({ type: "instance.stop", reason });
    await untilStopped(actor);
  });
}

/** The actor to wait for; undefined where a repeated command finds that its instance has ended since. */
function beginOne(
  world: NodeWorld,
  instanceId: string,
  request: NodeInstanceStart,
): InstanceActor | undefined {
  const { instances, instancesMax } = world;
  const present = instances.get(instanceId);
  if (isRepeated(world, instanceId, request)) return present;
  if (present !== undefined) {
    throw new Failure("INSTANCE_EXISTS", `an instance ${instanceId} is here already`, {
      fix: "Choose another instanceId, or stop that one first.",
    });
  }
  if (isOvertaken(world, instanceId, request)) {
    throw new Failure("INSTANCE_UNAVAILABLE", `instance ${instanceId} was started anew after that`, {
      fix: "`wasmatrix inspect` shows what became of it; `wasmatrix start` starts another one.",
      retry: "never",
    });
  }
  if (!world.takesInstances()) throw new Failure("NODE_UNAVAILABLE", `node ${world.nodeId} is leaving`);
  if (instances.size >= instancesMax) {
    throw new Failure("RESOURCE_EXHAUSTED", `node ${world.nodeId} has its ${instancesMax} instances`, {
      fix: "Stop some, or start it on another node.",
      details: { instancesMax },
    });
  }
  const capabilities = provenGrants(request, instanceId);
  const placement = request.placements?.[request.instanceIds.indexOf(instanceId)];
  return instances.begin({
    ...request.template,
    capabilities,
    instanceId,
    incarnation: request.incarnation,
    ...(placement === undefined ? {} : { placement }),
  });
}

/** What that copy may do, each with its own proof. */
function provenGrants(
  { template, instanceIds, proofs }: NodeInstanceStart,
  instanceId: string,
): ProvenAssignment[] {
  const own = proofs?.[instanceIds.indexOf(instanceId)];
  return template.capabilities.map((grant, index) => {
    const proof = own?.[index];
    return proof === undefined ? grant : { ...grant, proof };
  });
}

type Answer = AnswerOf<"node.instance.start">;

/** Does that to all of them at once, and tells of each what became of it. */
async function each(
  world: NodeWorld,
  instanceIds: readonly string[],
  act: (instanceId: string) => Promise<void>,
): Promise<Answer> {
  const instances: InstanceSummary[] = [];
  const failed: NodeInstancesDone["failed"] = [];
  const outcomes = await Promise.allSettled(
    [...new Set(instanceIds)].map(async (instanceId) => act(instanceId)),
  );
  for (const [index, instanceId] of [...new Set(instanceIds)].entries()) {
    const outcome = outcomes[index];
    if (outcome?.status === "rejected") {
      failed.push({ instanceId, error: errorBody(outcome.reason, timestamp(world.clock)) });
      continue;
    }
    const view = world.speaker.own().instances.get(instanceId);
    if (view !== undefined) instances.push(summaryOf(view));
  }
  return { instances, failed };
}
