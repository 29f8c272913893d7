import { type Command, InvalidArgumentError } from "commander";
import { msOf, wholeNumber } from "../parse/usage.ts";
import { instanceTable, nodeTable } from "../render/lists.ts";
import { type Surroundings, withClient } from "../session.ts";
import { resolveIds } from "../target.ts";

/** Adds `relocate`, `scale`, `drain`, `resume` and `label`. */
export function addMoves(program: Command, surroundings: Surroundings): void {
  program
    .command("relocate")
    .description("move an instance; its new copy answers before the old one ends")
    .argument("<instance>", "an instance id, or the name of one")
    .option("--to <node>", "the node that it goes to; otherwise the one that suits it best")
    .action((word: string, flags: { to?: string }, command: Command) =>
      withClient(surroundings, command, async (client, session) => {
        const ids = await resolveIds(client, word);
        const moved = await Promise.all(ids.map((id) => client.relocate(id, flags.to)));
        const instances = moved.flat();
        session.show({ ok: true, instances }, () =>
          instanceTable(session.paint, session.clock.now(), instances),
        );
      }),
    );
  program
    .command("scale")
    .description("start or stop copies until a name has that many")
    .argument("<name>")
    .argument("<count>", "how many", wholeNumber)
    .action((name: string, count: number, _flags: unknown, command: Command) =>
      withClient(surroundings, command, async (client, session) => {
        const instances = await client.scale(name, count);
        session.show({ ok: true, instances }, () =>
          instances.length === 0
            ? `${session.paint.bold(name)} has no instance now`
            : instanceTable(session.paint, session.clock.now(), instances),
        );
      }),
    );
  program
    .command("drain")
    .description("move away what a node runs; it takes nothing new until it is resumed")
    .argument("<node>")
    .option("--timeout <duration>", "how long it may take", msOf)
    .action((node: string, flags: { timeout?: number }, command: Command) =>
      withClient(surroundings, command, async (client, session) => {
        const answer = await client.drain(node, flags.timeout);
        session.show(answer, () =>
          [
            `${session.paint.bold(node)} drains: ${answer.moved.length} moved, ${answer.left.length} stay`,
            ...answer.left.map(({ instanceId, error }) => `  ${instanceId}: ${error.message}`),
          ].join("\n"),
        );
        if (answer.left.length > 0) session.exit(1);
      }),
    );
  program
    .command("resume")
    .description("let a drained node take work again")
    .argument("<node>")
    .action((node: string, _flags: unknown, command: Command) =>
      withClient(surroundings, command, async (client, session) => {
        const summary = await client.resume(node);
        session.show({ ok: true, node: summary }, () =>
          nodeTable(session.paint, session.clock.now(), [summary]),
        );
      }),
    );
  program
    .command("label")
    .description("set labels of a running node, or take them away")
    .argument("<node>")
    .argument("<label...>", "zone=eu sets it, zone- takes it away", labelChange)
    .action((node: string, labels: Record<string, string | null>, _flags: unknown, command: Command) =>
      withClient(surroundings, command, async (client, session) => {
        const summary = await client.label(node, labels);
        session.show({ ok: true, node: summary }, () =>
          Object.entries(summary.labels)
            .map(([label, value]) => `${label}=${value}`)
            .join("\n"),
        );
      }),
    );
}

/** `zone=eu` or `zone-`, added to those before it. */
function labelChange(
  text: string,
  before: Record<string, string | null> | undefined,
): Record<string, string | null> {
  const [, label, equals, value] = /^([^=]+?)(?:(=)(.*)|-)$/.exec(text) ?? [];
  if (label === undefined)
    throw new InvalidArgumentError("it must be like zone=eu, or zone- to take it away");
  return { ...before, [label]: equals === undefined ? null : (value ?? "") };
}
