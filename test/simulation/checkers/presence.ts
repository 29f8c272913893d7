import type { Look } from "../look.ts";
import type { Checker, Told } from "../observations.ts";

/** A node is asked whether it is there 2.2 s after its last word at the earliest, which counts half a second late. */
const askedAfterMs = 1_600;

/** And then nobody listens for 600 ms before it is lost. */
const lostAfterMs = 2_200;

/**
 * P12: a node is called lost only after it was silent for as long as promised, never because its listener lost the
 * bus, and a node that speaks is not asked whether it is there.
 */
export function checkPresence(look: Look): Checker {
  const lostBefore = new Map<string, Set<string>>();
  const latestLost = new Map<string, Set<string>>();
  const wokeAt = new Map<string, number>();
  const lostAt = new Map<string, number>();

  const silentMs = (host: string, node: string) => {
    const heardAt = look.hearing.of(host, node)?.at;
    return heardAt === undefined ? Number.POSITIVE_INFINITY : look.now() - heardAt;
  };

  function checkLost(host: string, nodes: readonly Told[]): void {
    const lost = new Set<string>();
    const before = lostBefore.get(host);
    // The view of the very moment of the loss is the one to compare with.
    const isOff = before !== undefined && look.now() > (lostAt.get(host) ?? 0);
    if (before !== undefined && !isOff) lostBefore.set(host, lost);
    for (const node of nodes) {
      const nodeId = node["nodeId"] as string;
      if (node["status"] !== "lost") continue;
      lost.add(nodeId);
      const silent = silentMs(host, nodeId);
      if (silent < lostAfterMs && !isJustAwake(host))
        look.fail(`${host} calls ${nodeId} lost, which it heard ${Math.round(silent)} ms ago`);
      if (isOff && !before.has(nodeId))
        look.fail(`${host} is off the bus and calls ${nodeId} lost, which it did not before`);
    }
    latestLost.set(host, lost);
  }

  function checkPing(host: string, nodeId: string): void {
    const silent = silentMs(host, nodeId);
    if (silent < askedAfterMs && !isJustAwake(host))
      look.fail(`${host} asks ${nodeId} whether it is there, ${Math.round(silent)} ms after it spoke`);
  }

  return (seen) => {
    if (seen.type === "began") latestLost.delete(seen.host);
    if (seen.type === "began" || seen.type === "bus.regained") lostBefore.delete(seen.host);
    if (seen.type === "resumed") wokeAt.set(seen.host, look.now());
    if (seen.type === "bus.lost") {
      lostBefore.set(seen.host, latestLost.get(seen.host) ?? new Set());
      lostAt.set(seen.host, look.now());
    }
    if (seen.type === "told") checkLost(seen.host, seen.view.nodes);
    if (seen.type === "message" && seen.subject.endsWith(".node.ping"))
      checkPing(seen.host, seen.subject.split(".")[4] ?? "");
  };

  function isJustAwake(host: string): boolean {
    return look.now() - (wokeAt.get(host) ?? Number.NEGATIVE_INFINITY) < 3_000;
  }
}
