import type { Client } from "../../../src/client/client.ts";
import { instanceIdOf } from "../../../src/client/read-feed.ts";
import type { Ledger } from "./ledger.ts";

/** What was said of single instances, for a round that failed. */
export interface History {
  /** Facts that were heard and commands that were sent, of every instance that one of these lines names. */
  of(lines: readonly string[], ledger: Ledger): string[];
  stop(): Promise<void>;
}

/** Listens to the facts of a lattice. */
export function keepHistory(client: Client): History {
  const facts = new Map<string, { at: number; line: string }[]>();
  const names = new Map<string, string>();
  const feed = client.facts();
  const listening = (async () => {
    for await (const fact of feed) {
      const instanceId = instanceIdOf(fact);
      if (instanceId === undefined) continue;
      const { spec, ...data } = fact.data as { spec?: { incarnation: number; name?: string } };
      if (spec?.name !== undefined) names.set(instanceId, spec.name);
      const incarnation = spec === undefined ? "" : ` incarnation ${spec.incarnation}`;
      const line = `fact ${fact.kind} ${fact.node}${incarnation} ${fact.cause ?? ""} ${JSON.stringify(data)}`;
      const before = facts.get(instanceId) ?? [];
      before.push({ at: Date.parse(fact.at), line });
      facts.set(instanceId, before);
    }
  })();
  return {
    of(lines, ledger) {
      const named = [...new Set([...facts.keys(), ...ledger.instances.keys()])].filter((instanceId) =>
        lines.some((line) => {
          const words = line.split(/[\s,]+/);
          return words.includes(instanceId) || words.includes(names.get(instanceId) ?? instanceId);
        }),
      );
      return named.flatMap((instanceId) => {
        const { presence = [], grant = [] } = ledger.instances.get(instanceId) ?? {};
        const sent = [...presence, ...grant].map(({ what, at, until, outcome }) => ({
          at,
          line: `sent ${what}, ${outcome === "done" ? "done" : outcome.code} after ${until - at} ms`,
        }));
        return [...sent, ...(facts.get(instanceId) ?? [])]
          .toSorted((one, other) => one.at - other.at)
          .map(({ at, line }) => `${new Date(at).toISOString()} ${instanceId} ${line}`);
      });
    },
    async stop() {
      feed.close();
      await listening;
    },
  };
}
