import { findInstance, type InstanceView } from "../../src/lattice/view.ts";
import { controlPlaneLimits } from "../../src/limits.ts";
import { Failure } from "../../src/protocol/errors.ts";
import type { Desk } from "./desk.ts";
import { instancesOf } from "./summaries.ts";

/** How a command says which instances it means. */
export interface Target {
  readonly instanceId?: string | undefined;
  readonly name?: string | undefined;
  /** Instances that this very command has stopped are meant too: it is repeated. */
  readonly commandId?: string | undefined;
}

/**
 * The instances that a command is about: the one of that id, or all living ones of that name. INSTANCE_NOT_FOUND
 * with what is called alike, INSTANCE_UNAVAILABLE when what was meant is stopped.
 */
export function livingTargets(desk: Desk, { instanceId, name, commandId }: Target): InstanceView[] {
  const wasStoppedByIt = (instance: InstanceView) =>
    instance.status === "stopped" && commandId !== undefined && instance.cause === commandId;
  if (instanceId !== undefined) {
    const instance = knownInstance(desk, instanceId);
    if (instance.status === "stopped" && !wasStoppedByIt(instance))
      throw isStopped(`instance ${instanceId}`, instance);
    return [instance];
  }
  const named = instancesOf(desk).filter((instance) => instance.spec.name === name);
  const living = named.filter((instance) => instance.status !== "stopped" || wasStoppedByIt(instance));
  if (living.length > 0) return living;
  const latest = named.toSorted((one, other) => (one.since < other.since ? 1 : -1))[0];
  if (latest !== undefined) throw isStopped(`every instance of the name ${name}`, latest);
  throw notFound(desk, `no instance of the name ${name} is known`, name ?? "");
}

/** The instance of that id, stopped or not; INSTANCE_NOT_FOUND with what is called alike. */
export function knownInstance(desk: Desk, instanceId: string): InstanceView {
  const instance = findInstance(desk.view, instanceId);
  if (instance === undefined) throw notFound(desk, `no instance ${instanceId} is known`, instanceId);
  return instance;
}

/** Whether one filter of a list takes an instance. */
export function isMeant(instance: InstanceView, { instanceId, name }: Target): boolean {
  if (instanceId !== undefined && instance.spec.instanceId !== instanceId) return false;
  return name === undefined || instance.spec.name === name;
}

function isStopped(what: string, instance: InstanceView): Failure {
  const why = instance.reason === undefined || instance.reason === "" ? "" : ` (${instance.reason})`;
  return new Failure("INSTANCE_UNAVAILABLE", `${what} is stopped since ${instance.since}${why}`, {
    fix: "`wasmatrix start` starts a new one; `wasmatrix ps --all` shows the stopped ones.",
    retry: "never",
    details: { since: instance.since, status: "stopped" },
  });
}

function notFound(desk: Desk, message: string, wanted: string): Failure {
  const similar = similarTo(desk, wanted);
  const { complete, gaps } = desk.viewStatus();
  const doubt = complete ? "" : " The view of the lattice is not complete yet; ask again in a moment.";
  const list = "`wasmatrix ps --all` lists what there is.";
  return new Failure("INSTANCE_NOT_FOUND", message, {
    fix: (similar.length > 0 ? `Did you mean ${similar.join(", ")}? ${list}` : list) + doubt,
    details: { similar, gaps },
    retry: complete ? "never" : "later",
  });
}

function similarTo(desk: Desk, wanted: string): string[] {
  const names = new Set(
    instancesOf(desk).flatMap(({ spec }) =>
      spec.name === undefined ? [spec.instanceId] : [spec.name, spec.instanceId],
    ),
  );
  const far = Math.max(2, Math.floor(wanted.length / 3));
  return [...names]
    .map((name) => ({
      name,
      far: name.startsWith(wanted) || wanted.startsWith(name) ? 0 : distance(name, wanted),
    }))
    .filter((one) => one.far <= far)
    .toSorted((one, other) => one.far - other.far || (one.name < other.name ? -1 : 1))
    .slice(0, controlPlaneLimits.suggestionsMax)
    .map(({ name }) => name);
}

/** Levenshtein's distance: how many letters to add, drop or change. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let i = 1; i <= one.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= other.length; j += 1) {
      const changed = (row[j - 1] ?? 0) + (one[i - 1] === other[j - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}
