import { type Command, Option } from "commander";
import { randomId, systemChance } from "../../src/chance.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { kindOf, type ProviderFlags, providerOrders } from "../parse/provider-orders.ts";
import { setting, settingFrom } from "../parse/settings.ts";
import { type Part, runPart } from "../part.ts";
import { runWith, type Surroundings } from "../session.ts";
import { directoryOf } from "../open-directory.ts";
import { busOf, defaultModules, etcdSays, type PartFlags, stopNode } from "./parts.ts";

/** Adds `provider`: a process that hosts providers and nothing else. */
export function addProvider(program: Command, surroundings: Surroundings): void {
  program
    .command("provider")
    .description("run one or more providers in a process of their own, until it is ended")
    .argument(
      "<kind...>",
      "kv, http, http-server, messaging, blobstore, or a file of one's own such as ./clock.ts",
    )
    .option("--id <id>", "the name of its process")
    .option("--name <name>", "the name of the provider; its type unless given")
    .option("--backend <[kind=]backend>", "what it is made of; repeatable", backendOf)
    .option("--config <[kind.]key=value>", "a setting of it; repeatable", setting)
    .option(
      "--config-env <[kind.]key=VARIABLE>",
      "a setting from the environment",
      settingFrom(surroundings.env),
    )
    .option("--listen <address>", "where an http-server listens: 127.0.0.1:8080")
    .option("--etcd <urls>", etcdSays)
    .addOption(new Option("--end-with-stdin", "end when stdin does").hideHelp().default(false))
    .action((words: string[], flags: PartFlags & ProviderFlags, command: Command) =>
      runWith(surroundings, command, (session) => {
        const stem = words.length === 1 ? kindOf(words[0] ?? "") : "providers";
        const idOtherwise = `${stem.startsWith("module:") ? "provider" : stem}-${randomId(6)}`;
        return runPart(
          session,
          command.optsWithGlobals(),
          { component: "provider", id: flags.id, idOtherwise },
          flags.endWithStdin,
          host(words, flags),
        );
      }),
    );
}

/** `nats`, or `kv=nats` where there are several. */
export function backendOf(text: string, before: Record<string, string> = {}): Record<string, string> {
  const [kind = "", backend = ""] = text.split("=", 2);
  return { ...before, [kind]: backend };
}

function host(words: readonly string[], flags: PartFlags & ProviderFlags): Part {
  const openDirectory = directoryOf(flags.etcd);
  return async (session, { id, bus, log, credentials }) => {
    const { startNodeAgent } = await import("../../actors/node-agent/node-agent.ts");
    const { createCatalog } = await import("../providers/catalog.ts");
    const orders = providerOrders(words, flags);
    const files = orders.flatMap(({ kind }) => (kind.startsWith("module:") ? [kind.slice(7)] : []));
    const { lattice, clock } = session;
    const catalog = createCatalog({
      nats: busOf(session, `providers of ${id}`, "application"),
      clock,
      credentials,
      moduleFiles: files,
    });
    const providers = await Promise.all(orders.map((order) => catalog.resolve(order)));
    if (new Set(providers.map(({ provider }) => provider)).size < providers.length)
      throw new Failure("INVALID_REQUEST", "two of these providers have the same name", {
        fix: "Run one of them in a process of its own, with a --name.",
      });
    const directory = await openDirectory({ lattice, clock, log });
    const started = startNodeAgent({
      lattice,
      nodeId: id,
      bus,
      clock,
      chance: systemChance,
      log,
      labels: {},
      modulesDirectory: defaultModules(session, id),
      instancesMax: 0,
      trust: credentials,
      providers,
      catalog,
      directory,
    });
    return { ready: started.ready, stop: () => stopNode(started, directory) };
  };
}
