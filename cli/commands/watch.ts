import type { Command } from "commander";
import type { Feed } from "../../src/client/feed.ts";
import { type Fact, type FactKind, factKinds } from "../../src/protocol/facts.ts";
import { InvalidArgumentError } from "commander";
import { wholeNumber } from "../parse/usage.ts";
import { factLine } from "../render/fact.ts";
import { logLine } from "../render/log-line.ts";
import { type Session, type Surroundings, withClient } from "../session.ts";
import { resolveIds } from "../target.ts";

interface FactFlags {
  follow: boolean;
  kind?: FactKind[];
  instance?: string;
  limit: number;
}

/** Adds `facts` and `logs`. */
export function addWatch(program: Command, surroundings: Surroundings): void {
  program
    .command("facts")
    .description("what happened, latest last; with -f also what happens from now on")
    .option("-f, --follow", "go on until Ctrl-C", false)
    .option("--kind <kind>", "such as instance.crashed; repeatable", kinds)
    .option("--instance <id>", "only facts about that instance")
    .option("--limit <n>", "how many of the latest", wholeNumber, 50)
    .action((flags: FactFlags, command: Command) =>
      withClient(surroundings, command, async (client, session) => {
        const instance = flags.instance === undefined ? {} : { instanceId: flags.instance };
        // Heartbeats say nothing to a person who did not ask for them.
        const wanted = flags.kind ?? factKinds.filter((kind) => kind !== "node.heartbeat");
        const feed = flags.follow ? client.facts({ ...instance, kinds: wanted }) : undefined;
        await feed?.ready;
        const shown = new Set<string>();
        // Whoever only watches may ask nobody for what was before.
        const mayAsk = !flags.follow || session.credentials?.role !== "observer";
        if (flags.limit > 0 && mayAsk) {
          const [only] = wanted.length === 1 ? wanted : [];
          const kind = only === undefined ? {} : { kind: only };
          const latest = await client.latestFacts({ ...instance, ...kind, limit: flags.limit });
          for (const fact of latest.filter((one) => wanted.includes(one.kind))) {
            session.show(fact, () => factLine(session.paint, fact));
            shown.add(identityOf(fact));
          }
        }
        // What happened while the latest were asked for comes both ways.
        const isNew = (fact: Fact) => !shown.delete(identityOf(fact));
        if (feed !== undefined) await follow(feed, session, (fact) => factLine(session.paint, fact), isNew);
      }),
    );
  program
    .command("logs")
    .description("what guests write from now on, until Ctrl-C")
    .argument("[target]", "an instance id or a name")
    .option("-f, --follow", "nobody stores lines, so this is what it always does", true)
    .action((word: string | undefined, _flags: unknown, command: Command) =>
      withClient(surroundings, command, async (client, session) => {
        if (word !== undefined) await resolveIds(client, word);
        const feed = client.logs(word);
        await feed.ready;
        await follow(feed, session, (line) => logLine(session.paint, line));
      }),
    );
}

function identityOf({ node, epoch, seq }: Fact): string {
  return `${node} ${epoch} ${seq}`;
}

async function follow<Item>(
  feed: Feed<Item>,
  session: Session,
  render: (item: Item) => string,
  isWanted: (item: Item) => boolean = () => true,
): Promise<void> {
  session.ended.addEventListener("abort", () => feed.close(), { once: true });
  if (session.ended.aborted) feed.close();
  for await (const item of feed) if (isWanted(item)) session.show(item, () => render(item));
}

function kinds(text: string, before: FactKind[] = []): FactKind[] {
  if (!Object.hasOwn(Object.fromEntries(factKinds.map((kind) => [kind, true])), text)) {
    throw new InvalidArgumentError(`there are: ${factKinds.join(", ")}`);
  }
  return [...before, text as FactKind];
}
