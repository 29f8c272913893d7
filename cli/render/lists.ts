import type { z } from "zod";
import type { ModulesListed, NodeSummary, ProviderSummary } from "../../src/protocol/commands.ts";
import type { InstanceDetail, InstanceSummary } from "../../src/protocol/instance-spec.ts";
import { type Paint, paintStatus } from "./paint.ts";
import { ago, duration, shortDigest, size } from "./quantities.ts";
import { onTerminal } from "./terminal-text.ts";
import { pairs, table } from "./table.ts";

/** Instances as a table. */
export function instanceTable(paint: Paint, nowMs: number, instances: readonly InstanceSummary[]): string {
  if (instances.length === 0) return paint.dim("no instances; start one: wasmatrix start <file.wasm>");
  const rows = instances.map((one) => [
    paint.bold(one.instanceId),
    one.name ?? "",
    `${paintStatus(paint, one.status)}${one.audit === true ? paint.cyan(" audit") : ""}`,
    ago(one.since, nowMs),
    String(one.restarts),
    one.nodeId,
    paint.dim(shortDigest(one.moduleHash)),
  ]);
  return table(paint, ["instance", "name", "status", "since", "restarts", "node", "module"], rows);
}

/** Nodes as a table. */
export function nodeTable(
  paint: Paint,
  nowMs: number,
  nodes: readonly z.infer<typeof NodeSummary>[],
): string {
  if (nodes.length === 0) return paint.dim("no nodes; start one: wasmatrix node");
  const reasons = nodes.some((node) => node.reason !== undefined || (node.busRefused ?? 0) > 0);
  const rows = nodes.map((node) => [
    paint.bold(node.nodeId),
    paintStatus(paint, node.status),
    node.guestKinds.length === 0 ? paint.dim("providers only") : `${node.instances}/${node.instancesMax}`,
    node.rssBytes === undefined ? "" : size(node.rssBytes),
    node.cpu === undefined ? "" : `${Math.round(node.cpu * 100)} %`,
    node.memoryFreeBytes === undefined ? "" : size(node.memoryFreeBytes),
    Object.entries(node.labels)
      // What every node says of its machine is in the --json answer.
      .filter(([key]) => !key.startsWith("wasmatrix."))
      .map(([key, value]) => `${key}=${value}`)
      .join(" "),
    onTerminal(node.hostname),
    ago(node.lastHeardAt, nowMs),
    ...(reasons ? [paint.yellow(noteOf(node))] : []),
  ]);
  const head = ["node", "status", "instances", "memory", "cpu", "free", "labels", "host", "heard"];
  return table(paint, reasons ? [...head, ""] : head, rows);
}

function noteOf({ reason, busRefused = 0 }: z.infer<typeof NodeSummary>): string {
  const refused =
    busRefused === 0 ? [] : [`the bus refused it ${busRefused} ${busRefused === 1 ? "time" : "times"}`];
  return [...(reason === undefined ? [] : [reason]), ...refused].join("; ");
}

/** Providers as a table. */
export function providerTable(
  paint: Paint,
  nowMs: number,
  providers: readonly z.infer<typeof ProviderSummary>[],
): string {
  if (providers.length === 0) return paint.dim("no providers; start one: wasmatrix provider kv");
  const rows = providers.map((one) => [
    paint.bold(one.provider),
    one.providerType,
    paintStatus(paint, one.status),
    one.backend,
    one.nodeId,
    ago(one.since, nowMs),
    String(one.restarts ?? 0),
    onTerminal(one.reason ?? one.address ?? ""),
  ]);
  return table(paint, ["provider", "type", "status", "backend", "node", "since", "restarts", ""], rows);
}

/** Modules as a table. */
export function moduleTable(paint: Paint, modules: z.infer<typeof ModulesListed>["modules"]): string {
  if (modules.length === 0) return paint.dim("no modules yet");
  const rows = modules.map((one) => [
    paint.bold(shortDigest(one.digest)),
    size(one.sizeBytes),
    one.holders.join(" "),
  ]);
  return table(paint, ["module", "size", "held by"], rows);
}

/** Everything that is known of one instance. */
export function instanceSheet(paint: Paint, nowMs: number, one: InstanceDetail): string {
  const policy = one.restartPolicy;
  const entries: [string, string][] = [
    ["instance", paint.bold(one.instanceId)],
    ["name", one.name ?? paint.dim("none")],
    [
      "status",
      `${paintStatus(paint, one.status)} since ${ago(one.since, nowMs)}${one.reason === undefined ? "" : `: ${onTerminal(one.reason)}`}`,
    ],
    ["node", one.nodeId],
    ["module", one.moduleHash],
    ...(one.pinnedTo === undefined ? [] : [["pinned to", one.pinnedTo] as [string, string]]),
    ...(one.spread === undefined ? [] : [["spread over", one.spread] as [string, string]]),
    ["created", ago(one.createdAt, nowMs)],
    ["restarts", String(one.restarts)],
    [
      "policy",
      policy.type === "backoff"
        ? `backoff from ${duration(policy.delayMs)} to ${duration(policy.maxDelayMs)}, ${policy.maxRetries} tries`
        : policy.type,
    ],
    [
      "limits",
      `${size(one.limits.memoryBytes)}, fuel ${one.limits.fuel} and ${duration(one.limits.timeoutMs)} a call`,
    ],
    ...(one.audit === true
      ? [["audit", "what is refused to it is kept: wasmatrix audit"] as [string, string]]
      : []),
    ...Object.entries(one.config).map(([key, value]): [string, string] => ["config", `${key}=${value}`]),
    ...one.capabilities.map((grant): [string, string] => ["grant", grantText(grant)]),
  ];
  if (one.capabilities.length === 0) entries.push(["grant", paint.dim("none")]);
  const crash = one.lastCrash;
  if (crash === undefined) return pairs(paint, entries);
  const during = crash.operation === undefined ? "" : ` during ${onTerminal(crash.operation)}`;
  entries.push([
    "last crash",
    `${paint.red(crash.reason)}${during}, ${ago(crash.at, nowMs)}: ${onTerminal(crash.message)}`,
  ]);
  const frames = (crash.backtrace ?? []).map(
    (frame) => `            ${paint.dim("at")} ${onTerminal(frame)}`,
  );
  return [pairs(paint, entries), ...frames].join("\n");
}

/** A grant as the command line takes it. */
export function grantText(grant: InstanceDetail["capabilities"][number]): string {
  const options = [
    ...Object.entries(grant.config),
    ...(grant.provider === undefined ? [] : [["provider", grant.provider] as const]),
  ].map(([key, value]) => `${key}=${value}`);
  const base = `${grant.capabilityId}=${grant.permissions.join(",")}`;
  return options.length === 0 ? base : `${base}?${options.join("&")}`;
}
