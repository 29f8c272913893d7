import type { Look } from "../look.ts";
import type { Checker, Told, ToldView } from "../observations.ts";
import { applicationData } from "../simulated-world.ts";

/** What control planes may hold: ids, assignments, and the status of what there is (R6). */
const fields: Readonly<Record<keyof Omit<ToldView, "view">, readonly string[]>> = {
  nodes: [
    "nodeId",
    "epoch",
    "status",
    "complete",
    "labels",
    "guestKinds",
    "instances",
    "instancesMax",
    "rssBytes",
    "cpu",
    "memoryFreeBytes",
    "productVersion",
    "hostname",
    "startedAt",
    "lastHeardAt",
    "protocolVersion",
    "reason",
  ],
  instances: [
    "instanceId",
    "nodeId",
    "name",
    "moduleHash",
    "createdAt",
    "status",
    "incarnation",
    "restarts",
    "since",
  ],
  assignments: ["instanceId", "nodeId", "capabilityId", "providerType", "provider", "permissions", "config"],
  providers: [
    "provider",
    "providerType",
    "nodeId",
    "status",
    "kind",
    "backend",
    "version",
    "since",
    "restarts",
    "address",
    "reason",
  ],
};

/** Where application data travels; everywhere else it must never be seen. */
const carriers = /^(?:_INBOX\.|wasmatrix\.(?:call|cap|log|stream)\.)/;

/** P7: no fact, command or answer of a control plane holds application data, and views hold nothing but what R6 allows. */
export function checkMinimalState(look: Look): Checker {
  const allowed = new Map(Object.entries(fields).map(([list, names]) => [list, new Set(names)]));
  return (seen) => {
    if (seen.type === "message" && !carriers.test(seen.subject)) {
      const bytes = Buffer.from(seen.data.buffer, seen.data.byteOffset, seen.data.length);
      if (bytes.includes(applicationData)) look.fail(`application data on ${seen.subject}`);
    }
    if (seen.type !== "told") return;
    for (const [list, names] of allowed)
      for (const one of seen.view[list as keyof typeof fields] as readonly Told[]) {
        const extra = Object.keys(one).find((name) => !names.has(name));
        if (extra !== undefined) look.fail(`${seen.host} holds the field ${extra} among its ${list}`);
      }
  };
}
