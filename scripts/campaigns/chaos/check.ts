import type { Client } from "../../../src/client/client.ts";
import { clientLimits } from "../../../src/limits.ts";
import { type Expected, expectedAfter, type Ledger } from "./ledger.ts";
import { chaosLimits } from "./limits.ts";
import type { Copy, Truth } from "./truth.ts";

/** Whether the lattice was split at some time from then until then; ms since 1970. */
export type WasSplit = (from: number, until: number) => boolean;

/** What is not as it must be, one line each; nothing where all is well. */
export function violations(ledger: Ledger, truth: Truth, wasSplit: WasSplit): string[] {
  return [
    ...truth.silent.map((nodeId) => `${nodeId} did not tell its facts`),
    ...wrongInstances(ledger, truth, wasSplit),
    ...wrongCounts(ledger, truth, wasSplit),
    ...wrongViews(truth),
  ];
}

/** Commands that came back later than their deadline. */
export function overdueCommands({ commands }: Ledger): string[] {
  const longestMs = clientLimits.commandTimeoutMs + chaosLimits.overdueMs;
  return commands
    .filter(({ at, until }) => until - at > longestMs)
    .map(({ what, at, until }) => `a ${what} took ${until - at} ms, beyond its deadline`);
}

/** Calls everything by its id that must be there: it answers, and may use its provider if that was granted. */
export async function wrongAnswers(ledger: Ledger, client: Client, wasSplit: WasSplit): Promise<string[]> {
  const timeoutMs = chaosLimits.callTimeoutMs;
  const wrong: string[] = [];
  await Promise.all(
    [...ledger.instances.values()].map(async ({ instanceId, guest, presence, grant }) => {
      if (expectedAfter(presence, wasSplit) !== true) return;
      const granted = guest === "echo" ? true : expectedAfter(grant, wasSplit);
      if (granted === undefined) return;
      const operation = guest === "echo" ? "go" : "get";
      const refusal = await client.call(instanceId, operation, new Uint8Array([49]), { timeoutMs }).then(
        () => undefined,
        (error: unknown) => String(error),
      );
      if (granted && refusal !== undefined) wrong.push(`a call of ${instanceId} failed: ${refusal}`);
      if (!granted && refusal === undefined) wrong.push(`${instanceId} used what it is not granted`);
    }),
  );
  return wrong;
}

function wrongInstances({ instances }: Ledger, truth: Truth, wasSplit: WasSplit): string[] {
  const wrong: string[] = [];
  const byId = Map.groupBy(truth.copies, ({ instanceId }) => instanceId);
  for (const [instanceId, copies] of byId) {
    if (copies.length > 1)
      wrong.push(`${instanceId} runs ${copies.length} times: ${copies.map(shown).join(", ")}`);
  }
  for (const { instanceId, presence, grant } of instances.values()) {
    const expected = expectedAfter(presence, wasSplit);
    const copies = byId.get(instanceId) ?? [];
    const [copy] = copies;
    if (expected === true && copy === undefined) wrong.push(`${instanceId} is lost`);
    if (expected === true && copy !== undefined && copy.status !== "running")
      wrong.push(`it does not run: ${shown(copy)}`);
    if (expected === false && copy !== undefined) wrong.push(`it was stopped: ${shown(copy)}`);
    if (copy !== undefined && copies.length === 1)
      wrong.push(...wrongGrant(copy, expectedAfter(grant, wasSplit)));
  }
  const ids = new Set([...byId.keys(), ...instances.keys()]);
  for (const instanceId of ids) {
    const listening = truth.subscriptions.get(instanceId) ?? 0;
    const copies = byId.get(instanceId)?.length ?? 0;
    if (listening !== copies)
      wrong.push(`${listening} subscriptions take the calls of ${instanceId}, which runs ${copies} times`);
  }
  return wrong;
}

function wrongGrant(copy: Copy, expected: Expected): string[] {
  if (expected === undefined || copy.grants.length > 0 === expected) return [];
  return [`${expected ? "the grant is lost" : "the grant was revoked"}: ${shown(copy)}`];
}

function wrongCounts({ scaled }: Ledger, { copies }: Truth, wasSplit: WasSplit): string[] {
  const wrong: string[] = [];
  for (const [name, scalings] of scaled) {
    const last = scalings.at(-1);
    if (last === undefined || last.outcome !== "done" || wasSplit(last.at, last.until)) continue;
    const now = copies.filter((copy) => copy.name === name).length;
    // What one that failed may have started on a node out of reach comes back with the node, and was not counted.
    const mayBeMore = scalings.some(({ outcome }) => outcome !== "done");
    if (now < last.count || (now > last.count && !mayBeMore))
      wrong.push(`${name} was scaled to ${last.count}, and there are ${now}`);
  }
  return wrong;
}

function wrongViews({ copies, views }: Truth): string[] {
  const truth = new Set(copies.map(shown));
  const wrong = new Set<string>();
  for (const { server, complete, gaps, copies: told } of views) {
    if (!complete)
      wrong.add(`a view asked for over ${server} is not complete; gaps: ${gaps.join(", ") || "none"}`);
    const view = new Set(told.map(shown));
    for (const one of truth.difference(view)) wrong.add(`a view over ${server} lacks ${one}`);
    for (const one of view.difference(truth)) wrong.add(`a view over ${server} has what is not so: ${one}`);
  }
  return [...wrong];
}

function shown({ instanceId, nodeId, incarnation, status, grants }: Copy): string {
  return `${instanceId} incarnation ${incarnation} on ${nodeId} ${status} [${grants.join(" ")}]`;
}
