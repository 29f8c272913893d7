import type { Fact, FactData, FactKind } from "../../src/protocol/facts.ts";
import { instanceIdOf } from "../../src/client/read-feed.ts";
import type { Paint } from "./paint.ts";
import { duration, shortDigest, size, timeOfDay } from "./quantities.ts";
import { onTerminal } from "./terminal-text.ts";

type Sentences = { readonly [K in FactKind]: (data: FactData<K>) => string };

const sentences: Sentences = {
  "node.joined": (data) =>
    `joined from ${data.hostname}${data.guestKinds.length === 0 ? ", for providers only" : ""}`,
  "node.heartbeat": (data) => `lives, with ${data.load.instances} instances`,
  "node.draining": () => "takes no more work and ends what it has",
  "node.resumed": () => "takes work again",
  "node.labelled": ({ labels }) =>
    `has the labels ${Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(", ")}`,
  "node.trusted": () => "takes commands of a control plane that is new to it",
  "command.refused": (data) => `refused ${data.row} (${data.reason}), ${times(data.count, "time")}`,
  "bus.refused": (data) =>
    `was refused by the bus: ${data.operation} ${data.subject}, ${times(data.count, "time")}`,
  "node.left": (data) => `left: ${data.reason}`,
  "instance.starting": (data) =>
    `starting ${data.spec.name ?? data.spec.instanceId} from module ${shortDigest(data.spec.moduleHash)}`,
  "instance.running": (data) =>
    data.restarts === 0 ? "runs" : `runs again, after ${times(data.restarts, "restart")}`,
  "instance.crashed": (data) => {
    const during = data.crash.operation === undefined ? "" : ` during ${data.crash.operation}`;
    return `crashed${during} (${data.crash.reason}): ${data.crash.message}`;
  },
  "instance.backing-off": (data) => `waits ${duration(data.delayMs)} before try ${data.attempt}`,
  "instance.restarting": (data) => `restarting: ${data.reason}`,
  "instance.gave-up": (data) => `is given up: ${data.reason}`,
  "instance.stopped": (data) => `stopped: ${data.reason}`,
  "instance.yielding": () => "goes on elsewhere soon",
  "instance.relocated": (data) =>
    `runs here as incarnation ${data.incarnation}, in place of its copy on ${data.from}`,
  "instance.fenced": (data) => `makes room for incarnation ${data.by.incarnation} on ${data.by.nodeId}`,
  "capability.assigned": ({ assignment }) =>
    `may use ${assignment.capabilityId}: ${assignment.permissions.join(", ")}`,
  "capability.revoked": (data) => `may no longer use ${data.capabilityId}`,
  "capability.denied": (data) =>
    data.permission === ""
      ? `was denied ${data.providerType} ${data.operation}: no grant allows it`
      : `was denied ${data.providerType} ${data.operation}: it lacks ${data.permission}  → ${data.fix}`,
  "capability.used": ({ capabilityId, permission, exactly }) =>
    `uses ${permission} of ${capabilityId}${exactly === undefined ? "" : `, as ${exactly}`}`,
  "provider.starting": (data) => `provider ${data.provider} (${data.backend}) starts`,
  "provider.available": (data) => `provider ${data.provider} (${data.backend}) is available`,
  "provider.unwell": (data) => `provider ${data.provider} is not well: ${data.reason}`,
  "provider.updated": (data) =>
    `provider ${data.provider} (${data.backend}) took the place of the former one`,
  "provider.draining": (data) => `provider ${data.provider} ends what it has begun`,
  "provider.failed": (data) => `provider ${data.provider} failed: ${data.reason}`,
  "provider.gave-up": (data) => `provider ${data.provider} is given up: ${data.reason}`,
  "provider.dropped": (data) =>
    `provider ${data.provider} lost ${times(data.count, "message")} for ${data.instanceId} on ${data.topic}`,
  "provider.stopped": (data) => `provider ${data.provider} stopped: ${data.reason}`,
  "module.stored": (data) => `holds module ${shortDigest(data.digest)}, ${size(data.sizeBytes)}`,
  "module.evicted": (data) => `no longer holds module ${shortDigest(data.digest)}`,
  "module.admitted": (data) =>
    `can run module ${shortDigest(data.digest)}: ${data.guestKind}, ${size(data.sizeBytes)}`,
  "module.refused": (data) => `refuses module ${shortDigest(data.digest)}: ${data.error.message}`,
  "engine.started": (data) => `engine started with ${times(data.cells, "cell")} (pid ${data.pid})`,
  "engine.lost": (data) => `engine lost with ${times(data.instances, "instance")}: ${data.reason}`,
  "cell.lost": (data) =>
    `a cell was lost: ${data.reason}${data.blamed === undefined ? "" : `; blamed ${data.blamed}`}; ${times(data.moved, "neighbour")} moved`,
};

/** What a fact says, in words. */
export function sentenceOf(fact: Fact): string {
  // A newer minor version states kinds that this one has no words for.
  const sentence = sentences[fact.kind] as ((data: unknown) => string) | undefined;
  return sentence?.(fact.data) ?? `says: ${JSON.stringify(fact.data)}`;
}

/** A fact on one line: when, where, what kind, and what it says. */
export function factLine(paint: Paint, fact: Fact): string {
  const instanceId = instanceIdOf(fact);
  const who = instanceId === undefined ? fact.node : `${fact.node}/${instanceId}`;
  const says = onTerminal(sentenceOf(fact).replaceAll(/\p{Cc}+/gu, " "));
  return `${paint.dim(onTerminal(timeOfDay(fact.at)))}  ${colourOf(paint, fact.kind)(fact.kind.padEnd(20))}  ${paint.bold(who)} ${says}`;
}

function colourOf(paint: Paint, kind: FactKind): (text: string) => string {
  if (/crashed|gave-up|failed|lost|refused|denied|unwell|dropped/.test(kind)) return paint.red;
  if (/backing-off|restarting|draining|stopped|left|revoked|evicted/.test(kind)) return paint.yellow;
  if (/running|available|updated|joined|started|assigned/.test(kind)) return paint.green;
  return paint.cyan;
}

function times(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
