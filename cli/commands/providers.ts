import type { Command } from "commander";
import type { Client } from "../../src/client/client.ts";
import type { ProviderSummary } from "../../src/protocol/commands.ts";
import { kindOf, type ProviderFlags, providerOrders } from "../parse/provider-orders.ts";
import { setting, settingFrom } from "../parse/settings.ts";
import { keyValue } from "../parse/usage.ts";
import { providerTable } from "../render/lists.ts";
import { type Session, type Surroundings, withClient } from "../session.ts";
import { backendOf } from "./provider.ts";

interface Placed {
  on?: string;
  require?: Record<string, string>;
  kind?: string;
}

/** Adds `providers`, which lists them, and its subcommands for those inside nodes. */
export function addProviders(program: Command, surroundings: Surroundings): void {
  const list = (_flags: unknown, command: Command) =>
    withClient(surroundings, command, async (client, session) => {
      const answer = await client.providers();
      session.show(answer, () => providerTable(session.paint, session.clock.now(), answer.providers));
    });
  const providers = program
    .command("providers")
    .description("list the providers; start, stop and update those inside nodes")
    .action(list);
  providers.command("list").description("list the providers").action(list);
  const change = (
    command: Command,
    work: (client: Client, word: string, flags: ProviderFlags & Placed) => Promise<ProviderSummary[]>,
  ) =>
    command.action((word: string, flags: ProviderFlags & Placed, given: Command) =>
      withClient(surroundings, given, async (client, session) =>
        show(session, await work(client, word, flags)),
      ),
    );
  const settings = (command: Command) =>
    command
      .option("--backend <backend>", "what it is made of", backendOf)
      .option("--config <key=value>", "a setting of it; repeatable", setting)
      .option(
        "--config-env <key=VARIABLE>",
        "a setting from the environment here",
        settingFrom(surroundings.env),
      )
      .option("--listen <address>", "where an http-server listens")
      .option("--on <node>", "the node that it is on");

  change(
    settings(providers.command("start").description("start a provider inside a node"))
      .argument("<kind>", "kv, http, …, or module:<file> of the node's folder for them")
      .option("--name <name>", "its name; its kind unless given")
      .option("--require <key=value>", "a label that the node must have; repeatable", keyValue),
    (client, word, { on, require, ...flags }) => {
      const { provider = nameOf(word), kind, backend, config } = orderOf(word, flags);
      return client.startProvider({
        provider,
        kind,
        config,
        ...(backend === undefined ? {} : { backend }),
        ...(on === undefined ? {} : { nodeId: on }),
        ...(require === undefined ? {} : { requires: require }),
      });
    },
  );
  change(
    providers
      .command("stop")
      .description("stop a provider, wherever it is")
      .argument("<name>", "of the provider")
      .option("--on <node>", "only there"),
    (client, provider, { on }) =>
      client.stopProvider({ provider, ...(on === undefined ? {} : { nodeId: on }) }),
  );
  change(
    settings(providers.command("update").description("replace a provider by another one, and lose no call"))
      .argument("<name>", "of the provider")
      .option("--kind <kind>", "another kind of the same type"),
    (client, provider, { on, kind, ...flags }) => {
      const { backend, config } = orderOf(provider, flags);
      const isSet = flags.config !== undefined || flags.configEnv !== undefined || flags.listen !== undefined;
      return client.updateProvider({
        provider,
        ...(kind === undefined ? {} : { kind: kindOf(kind) }),
        ...(backend === undefined ? {} : { backend }),
        ...(isSet ? { config } : {}),
        ...(on === undefined ? {} : { nodeId: on }),
      });
    },
  );
}

function orderOf(word: string, flags: ProviderFlags) {
  const [order] = providerOrders([word], flags);
  if (order === undefined) throw new Error("one word is one order");
  return order;
}

/** `module:clock.ts` is called `clock`. */
function nameOf(word: string): string {
  return word.startsWith("module:") ? word.replace(/^.*[:/]/, "").replace(/\.[^.]*$/, "") : word;
}

function show(session: Session, providers: readonly ProviderSummary[]): void {
  session.show({ ok: true, providers }, () => providerTable(session.paint, session.clock.now(), providers));
}
