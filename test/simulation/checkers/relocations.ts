import { decode } from "../../../src/protocol/codec.ts";
import type { Look } from "../look.ts";
import type { Checker } from "../observations.ts";
import { asOf, latest } from "../truth.ts";

interface StartElsewhere {
  readonly instanceIds: readonly string[];
  readonly incarnation: number;
  readonly from?: string;
}

interface Asked {
  readonly node: string;
  readonly plane: string;
  readonly at: number;
}

/** Two control planes have heard each other this lately, and for that long, so that they agree on who leads. */
const agreed = { latelyMs: 900, sinceMs: 2_500 };

/**
 * P12: what a lost node ran is started elsewhere by one control plane, on one node, under a later incarnation; a copy
 * that yields ends after the one that takes over has run.
 */
export function checkRelocations(look: Look): Checker {
  const yielding = new Set<string>();
  /** Copies that have run, by node, instance and incarnation. */
  const hasRun = new Set<string>();
  /** Which nodes one control plane asked, by that, instance and incarnation. */
  const asked = new Map<string, Set<string>>();
  /** The latest asking of any control plane, by instance and incarnation. */
  const latestAsked = new Map<string, Asked>();
  /** When a control plane last heard another one say that it is ready. */
  const beats = new Map<string, { at: number; ready: boolean; since: number }>();
  const disturbedAt = new Map<string, number>();

  function hasHeard(plane: string, other: string): boolean {
    const beat = beats.get(`${plane} ${other}`);
    return (
      beat !== undefined &&
      beat.ready &&
      look.now() - beat.at < agreed.latelyMs &&
      look.now() - beat.since > agreed.sinceMs
    );
  }

  function checkStart(plane: string, node: string, start: StartElsewhere): void {
    const { from, incarnation } = start;
    if (from === undefined) return;
    for (const instanceId of start.instanceIds) {
      if (yielding.has(`${plane} ${instanceId}`)) continue;
      const key = `${instanceId} ${incarnation}`;
      const now: Asked = { node, plane, at: look.now() };
      const nodes = asked.get(`${plane} ${key}`) ?? new Set();
      // Sent again, it means what it meant when it was first sent.
      if (nodes.has(node)) continue;
      checkIncarnation(plane, from, instanceId, incarnation);
      asked.set(`${plane} ${key}`, nodes.add(node));
      checkPlaces(instanceId, incarnation);
      const other = latestAsked.get(key);
      latestAsked.set(key, now);
      const isRecent = other !== undefined && other.plane !== plane && look.now() - other.at < 1_000;
      if (
        isRecent &&
        hasHeard(plane, other.plane) &&
        hasHeard(other.plane, plane) &&
        areCalm(plane, other.plane)
      )
        look.fail(`${plane} and ${other.plane} know of each other, and both brought back ${instanceId}`);
    }
  }

  /** A node that refused does not have it; two that took it were asked by somebody who did not know that. */
  function checkPlaces(instanceId: string, incarnation: number): void {
    for (const [key, nodes] of asked) {
      if (nodes.size < 2 || !key.endsWith(` ${instanceId} ${incarnation}`)) continue;
      const took = [...nodes].filter((nodeId) => {
        const node = look.truth.nodes.get(nodeId);
        const copy = node?.isAlive === true ? latest(node, instanceId) : undefined;
        return copy?.spec.incarnation === incarnation && copy.status !== "stopped";
      });
      if (took.length > 1)
        look.fail(
          `${key.split(" ")[0]} had ${took.join(" and ")} start incarnation ${incarnation} of ${instanceId}`,
        );
    }
  }

  function checkIncarnation(plane: string, from: string, instanceId: string, incarnation: number): void {
    const heard = look.hearing.of(plane, from);
    const truth = look.truth.nodes.get(from);
    if (heard === undefined || heard.isGap || truth?.epoch !== heard.epoch) return;
    const copy = asOf(truth, instanceId, heard.seq);
    if (copy !== undefined && copy.status !== "stopped" && copy.spec.incarnation >= incarnation)
      look.fail(
        `${plane} starts incarnation ${incarnation} of ${instanceId}, of which ${from} has ${copy.spec.incarnation}`,
      );
  }

  function areCalm(...planes: string[]): boolean {
    return planes.every(
      (plane) => look.now() - (disturbedAt.get(plane) ?? Number.NEGATIVE_INFINITY) > 15_000,
    );
  }

  return (seen) => {
    if (seen.type === "beat") {
      const key = `${seen.host} ${seen.from}`;
      const before = beats.get(key);
      const isSame = before?.ready === seen.ready && look.now() - before.at < agreed.latelyMs;
      beats.set(key, { at: look.now(), ready: seen.ready, since: isSame ? before.since : look.now() });
    }
    if (seen.type === "began" || seen.type === "ended" || seen.type === "paused" || seen.type === "bus.lost")
      disturbedAt.set(seen.host, look.now());
    if (seen.type === "fault") disturbedAt.set(seen.about.split(" ")[0] ?? "", look.now());
    if (seen.type === "began")
      for (const key of [...asked.keys(), ...yielding])
        if (key.startsWith(`${seen.host} `)) {
          asked.delete(key);
          yielding.delete(key);
        }
    if (seen.type === "message") {
      const [, plane, , , node = "", noun, verb] = seen.subject.split(".");
      if (plane !== "node" || noun !== "instance") return;
      if (verb === "yield")
        for (const id of (decode(seen.data).value as { instanceIds: string[] }).instanceIds)
          yielding.add(`${seen.host} ${id}`);
      if (verb === "start") checkStart(seen.host, node, decode(seen.data).value as StartElsewhere);
    }
    if (seen.type === "stated" && seen.fact.kind === "instance.starting") {
      const { instanceId, incarnation } = seen.fact.data.spec;
      if (incarnation > 1) checkPlaces(instanceId, incarnation);
    }
    if (seen.type === "stated" && seen.fact.kind === "instance.running") {
      const { instanceId } = seen.fact.data;
      const node = look.truth.nodes.get(seen.host);
      const copy = node === undefined ? undefined : latest(node, instanceId);
      hasRun.add(`${seen.host} ${instanceId} ${copy?.spec.incarnation}`);
    }
    if (seen.type === "stated" && seen.fact.kind === "instance.fenced") {
      const { instanceId, by } = seen.fact.data;
      const node = look.truth.nodes.get(seen.host);
      const copy = node === undefined ? undefined : latest(node, instanceId);
      if (copy?.yields === true && !hasRun.has(`${by.nodeId} ${instanceId} ${by.incarnation}`))
        look.fail(
          `${instanceId} ends on ${seen.host} before the copy on ${by.nodeId} that takes over has run`,
        );
    }
  };
}
