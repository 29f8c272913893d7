import type { ControlAnswer } from "../../src/client/control.ts";
import type { AuditedCapability } from "../../src/protocol/commands.ts";
import type { Assignment } from "../../src/protocol/instance-spec.ts";
import type { Paint } from "./paint.ts";
import { ago } from "./quantities.ts";
import { table } from "./table.ts";
import { onTerminal } from "./terminal-text.ts";

type Audited = ControlAnswer<"ctl.capability.audit">;

/** What was used of each grant and what was refused, and below it the commands that leave what was needed. */
export function auditSheet(paint: Paint, nowMs: number, target: string, audited: Audited): string {
  const { instances, audit, since, capabilities, more, smallest } = audited;
  const count = instances.length === 1 ? "" : `, ${instances.length} instances`;
  const head = `${paint.bold(target)}${count}, watched since ${ago(since, nowMs)}${audit ? paint.cyan("  audit") : ""}`;
  const happened = capabilities.some(
    ({ granted, denied }) => denied.length > 0 || granted.some(({ used }) => used),
  );
  const rows = capabilities.flatMap((one) => rowsOf(paint, nowMs, one));
  const parts = [head];
  if (rows.length > 0) parts.push(table(paint, ["capability", "permission", "use"], rows));
  if (more) parts.push(paint.yellow("More was refused than is kept: grant some of it, and look again."));
  if (!happened) {
    parts.push(paint.dim("Nothing was used and nothing refused yet: call it, and look again."));
    return parts.join("\n\n");
  }
  if (!audit && capabilities.some(({ denied }) => denied.length > 0))
    parts.push(
      paint.dim(
        "What was refused is no part of what follows: start it with --audit to see all that it needs.",
      ),
    );
  return [...parts, ...advice(paint, target, capabilities, smallest)].join("\n\n");
}

/** A grant as the command line takes it, quoted for a shell; undefined where it cannot be written so. */
export function grantFlag(grant: Assignment): string | undefined {
  const { capabilityId, permissions, provider, config } = grant;
  if (permissions.some((one) => /[,?]|[^\x21-\x7e]/.test(one))) return undefined;
  const options = [
    ...Object.entries(config),
    ...(provider === undefined ? [] : [["provider", provider] as const]),
  ].map(([key, value]) => `${escaped(key)}=${escaped(value)}`);
  const text = `${capabilityId}=${permissions.join(",")}${options.length === 0 ? "" : `?${options.join("&")}`}`;
  return /^[\w=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function rowsOf(
  paint: Paint,
  nowMs: number,
  { capabilityId, providerType, granted, denied }: AuditedCapability,
) {
  const name = `${paint.bold(onTerminal(capabilityId))} ${paint.dim(onTerminal(providerType))}`;
  const lines = [
    ...granted.map((one): [string, string] => [onTerminal(one.permission), useOf(paint, one)]),
    ...denied.map(({ permission, operation, count, at, isGrantable }): [string, string] => [
      onTerminal(permission === "" ? operation : permission),
      paint.red(`refused ${count === 1 ? "once" : `${count} times`}`) +
        paint.dim(`, ${ago(at, nowMs)}${isGrantable ? "" : "; no grant is known that allows it"}`),
    ]),
  ];
  return lines.map(([permission, use], index) => [index === 0 ? name : "", permission, use]);
}

function useOf(paint: Paint, { used, exactly, isSeen }: AuditedCapability["granted"][number]): string {
  if (!isSeen) return paint.dim("its use cannot be seen");
  if (!used) return paint.yellow("not used");
  const as = exactly.map((one) => onTerminal(one)).join("\n     ");
  return as === "" ? paint.green("used") : `${paint.green("used")}${paint.dim(" as")} ${as}`;
}

function advice(
  paint: Paint,
  target: string,
  capabilities: readonly AuditedCapability[],
  smallest: readonly Assignment[],
): string[] {
  const needed = new Set(smallest.map(({ capabilityId }) => capabilityId));
  const changed = smallest.filter((grant) => !isHeld(capabilities, grant));
  const superfluous = capabilities.filter(
    ({ capabilityId, granted }) => granted.length > 0 && !needed.has(capabilityId),
  );
  if (smallest.length === 0) return [paint.dim("Nothing of what it was granted was used yet.")];
  const flags = smallest.map(grantFlag);
  if (flags.includes(undefined))
    return [
      paint.dim("The smallest grants cannot be written as flags: --json shows them, for capability.assign."),
    ];
  if (changed.length === 0 && superfluous.length === 0)
    return [paint.green("It holds what it uses, and nothing else.")];
  const commands = [
    ...changed.map((grant) => `wasmatrix assign ${target} ${grantFlag(grant)}`),
    ...superfluous.map(({ capabilityId }) => `wasmatrix revoke ${target} ${capabilityId}`),
  ];
  return [
    `${paint.dim("as small as what happened allows")}\n${commands.join("\n")}`,
    `${paint.dim("or from the next start on")}\nwasmatrix start … ${flags.map((flag) => `--grant ${flag}`).join(" ")}`,
  ];
}

function isHeld(
  capabilities: readonly AuditedCapability[],
  { capabilityId, permissions }: Assignment,
): boolean {
  const held = capabilities.find((one) => one.capabilityId === capabilityId && one.granted.length > 0);
  const names = new Set(held?.granted.map(({ permission }) => permission));
  return names.size === permissions.length && permissions.every((one) => names.has(one));
}

/** What would end a value of a query, or be read as another character. */
function escaped(text: string): string {
  return text.replaceAll(/[%&+#\s]/g, encodeURIComponent);
}
