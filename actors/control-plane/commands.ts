import type { Subscription } from "../../src/bus/bus.ts";
import { type AnswerOf, type RequestOf, serve } from "../../src/bus/serve.ts";
import { delay } from "../../src/clock.ts";
import { controlPlaneLimits } from "../../src/limits.ts";
import { asFailure } from "../../src/protocol/errors.ts";
import type { SubjectName } from "../../src/protocol/subjects.ts";
import { type AnsweredElsewhere, createAnsweredElsewhere } from "./answered-elsewhere.ts";
import { auditCapabilities } from "./audit.ts";
import { assignCapability, listCapabilities, revokeCapability } from "./capability-commands.ts";
import type { Desk } from "./desk.ts";
import {
  listInstances,
  queryInstance,
  restartInstance,
  startInstance,
  stopInstance,
} from "./instance-commands.ts";
import { listFacts, listNodes, listProviders } from "./listing-commands.ts";
import { listModules, putModule } from "./module-commands.ts";
import { startProvider, stopProvider, updateProvider } from "./provider-commands.ts";
import { drainNode, labelNode, leaveNode, resumeNode } from "./node-commands.ts";
import { refuseOtherVersions } from "./other-versions.ts";
import { relocateInstance, scaleInstances } from "./scale-instances.ts";

type Command = Extract<SubjectName, `ctl.${string}`>;
type Handler<Name extends Command> = (
  desk: Desk,
  request: RequestOf<Name>,
) => AnswerOf<Name> | Promise<AnswerOf<Name>>;

const handlers: { readonly [Name in Command]: Handler<Name> } = {
  "ctl.instance.start": startInstance,
  "ctl.instance.stop": stopInstance,
  "ctl.instance.restart": restartInstance,
  "ctl.instance.relocate": relocateInstance,
  "ctl.instance.scale": scaleInstances,
  "ctl.instance.query": queryInstance,
  "ctl.instance.list": listInstances,
  "ctl.capability.assign": assignCapability,
  "ctl.capability.revoke": revokeCapability,
  "ctl.capability.list": listCapabilities,
  "ctl.capability.audit": auditCapabilities,
  "ctl.node.list": listNodes,
  "ctl.provider.start": startProvider,
  "ctl.provider.stop": stopProvider,
  "ctl.provider.update": updateProvider,
  "ctl.node.drain": drainNode,
  "ctl.node.resume": resumeNode,
  "ctl.node.label": labelNode,
  "ctl.provider.list": listProviders,
  "ctl.module.put": putModule,
  "ctl.module.list": listModules,
  "ctl.fact.list": listFacts,
};

/** Answers every command of the subject table, shared with the other control planes of the lattice. */
export function serveCommands(desk: Desk): Subscription[] {
  const elsewhere = createAnsweredElsewhere(desk);
  const leaving = serve(
    desk.bus,
    desk.clock,
    "leave",
    { lattice: desk.lattice },
    (request, { node = "" }) => desk.commands.once({}, "leave", () => leaveNode(desk, request, node)),
    "control-plane",
  );
  return [
    leaving,
    elsewhere.serve(),
    ...refuseOtherVersions(desk),
    ...(Object.keys(handlers) as Command[]).map((name) => serveCommand(desk, name, elsewhere)),
  ];
}

function serveCommand<Name extends Command>(
  desk: Desk,
  name: Name,
  elsewhere: AnsweredElsewhere,
): Subscription {
  const handle: Handler<Name> = handlers[name];
  return serve(
    desk.bus,
    desk.clock,
    name,
    { lattice: desk.lattice },
    (request) => {
      const command = rememberedAs(request as object);
      return desk.commands.once(command, name, async () => {
        if (!isQuestion(name) && !desk.isReady()) await untilReady(desk);
        const before = command.commandId === undefined ? undefined : await elsewhere.find(command.commandId);
        if (before !== undefined) return before.answer as AnswerOf<Name>;
        return onceKnown(desk, async () => handle(desk, request));
      });
    },
    "control-plane",
  );
}

/** A dry run has no effect that could be had twice, and the start after it may come under the same id. */
function rememberedAs(request: { commandId?: string; dryRun?: boolean }): { commandId?: string } {
  return request.dryRun === true ? {} : request;
}

/** What only tells is told from whatever is known, and says how far that can be trusted. */
function isQuestion(name: Command): boolean {
  return /\.(?:list|query|audit)$/.test(name);
}

/**
 * A change waits until the view is whole: it may be a repeated one, which another control plane has carried out while
 * this one was off the bus or slept.
 */
async function untilReady(desk: Desk): Promise<void> {
  const over = new AbortController();
  const patience = delay(desk.clock, controlPlaneLimits.rebuildMsMax, over.signal).catch(() => undefined);
  await Promise.race([desk.whenReady(), patience]);
  over.abort(new Error("it is ready"));
}

const unknown: ReadonlySet<string> = new Set(["INSTANCE_NOT_FOUND", "NODE_NOT_FOUND", "MODULE_NOT_FOUND"]);

/**
 * What is not known yet may be on its way: the command before this one may have gone to another control plane, whose
 * effect is heard of some ms later, and one that has just started knows little. Nothing was done by then.
 */
async function onceKnown<Answer>(desk: Desk, carryOut: () => Promise<Answer>): Promise<Answer> {
  for (const waitMs of controlPlaneLimits.unknownWaitsMs) {
    try {
      return await carryOut();
    } catch (error) {
      // A node states a fact before it answers: alone, and with a whole view, one knows what there is.
      const isCertain = desk.peers.others().length === 0 && desk.viewStatus().complete;
      if (isCertain || !unknown.has(asFailure(error).code)) throw error;
      if (!desk.isReady()) await untilReady(desk);
      await delay(desk.clock, waitMs);
    }
  }
  return carryOut();
}
