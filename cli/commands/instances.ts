import type { Command } from "commander";
import type { z } from "zod";
import type { QuestionOf } from "../../src/bus/ask.ts";
import type { ControlAnswer } from "../../src/client/control.ts";
import { clientLimits } from "../../src/limits.ts";
import { readModule } from "../read-module.ts";
import { collect } from "../collect.ts";
import type { RestartPolicy } from "../../src/protocol/instance-spec.ts";
import { type Grant, grants } from "../parse/grant.ts";
import { restartOf } from "../parse/restart.ts";
import { bytesOf, keyValue, msOf, wholeNumber } from "../parse/usage.ts";
import { progressBar } from "../render/progress.ts";
import { instanceSheet, instanceTable } from "../render/lists.ts";
import { placementSheet } from "../render/placement.ts";
import { describeFile, moduleSheet } from "../render/module-sheet.ts";
import { exitCodes, runWith, type Session, type Surroundings, withClient } from "../session.ts";
import { resolveIds, resolveTarget } from "../target.ts";

interface StartFlags {
  name?: string;
  id?: string;
  count: number;
  grant?: Grant[];
  config?: Record<string, string>;
  restart: z.input<typeof RestartPolicy>;
  memory?: number;
  fuel?: number;
  timeout?: number;
  require?: Record<string, string>;
  node?: string;
  spread?: string;
  onNodeLoss: "stay" | "relocate";
  reuse: boolean;
  audit: boolean;
  wait: "running" | "accepted";
  dryRun: boolean;
}

/** Adds `start`. */
export function addStart(program: Command, surroundings: Surroundings): void {
  program
    .command("start")
    .description("start one or more instances of a module, given as a file, by its digest or from a registry")
    .argument("<module>", "a .wasm file, sha256:… of one that the lattice holds, or oci://registry/name:tag")
    .option("--name <name>", "the name that its instances share and are called by")
    .option("--id <id>", "the id of the one instance")
    .option("--count <n>", "how many", wholeNumber, 1)
    .option("--grant <grant>", "store=kv:read,kv:write[?bucket=x&provider=y]; repeatable", grants)
    .option("--config <KEY=value>", "what the guest may ask for; repeatable", keyValue)
    .option("--restart <policy>", "never, always, backoff[:delay,maxDelay,maxRetries]", restartOf, {
      type: "never",
    })
    .option("--memory <size>", "of each instance, such as 64MiB", bytesOf)
    .option("--fuel <n>", "function entries and turns of loops per call", wholeNumber)
    .option("--timeout <duration>", "per call, such as 5s", msOf)
    .option("--require <label=value>", "only on nodes with that label; repeatable", keyValue)
    .option("--node <id>", "only on that node, whatever becomes of it")
    .option("--spread <label>", "evenly over the values of that label first")
    .option("--on-node-loss <what>", "stay or relocate", "stay")
    .option("--no-reuse", "a fresh guest for every call")
    .option(
      "--audit",
      "keep all that is refused to it, for `wasmatrix audit`; it is refused all the same",
      false,
    )
    .option("--wait <until>", "running or accepted", "running")
    .option("--dry-run", "only show which nodes would take them, and why", false)
    .action((module: string, flags: StartFlags, command: Command) =>
      withClient(surroundings, command, async (client, session) => {
        const request = await requestOf(module, flags);
        if (flags.dryRun) return showPlan(session, await client.plan(request));
        const bar = progressBar(session, "uploading");
        const instances = await client.start(request, bar.show).finally(bar.end);
        session.show({ ok: true, instances }, () =>
          instanceTable(session.paint, session.clock.now(), instances),
        );
      }),
    );
}

async function requestOf(module: string, flags: StartFlags): Promise<QuestionOf<"ctl.instance.start">> {
  const limits = {
    ...(flags.memory === undefined ? {} : { memoryBytes: flags.memory }),
    ...(flags.fuel === undefined ? {} : { fuel: flags.fuel }),
    ...(flags.timeout === undefined ? {} : { timeoutMs: flags.timeout }),
  };
  return {
    module: await moduleOf(module),
    ...(flags.name === undefined ? {} : { name: flags.name }),
    ...(flags.id === undefined ? {} : { instanceId: flags.id }),
    count: flags.count,
    capabilities: flags.grant ?? [],
    restartPolicy: flags.restart,
    limits,
    config: flags.config ?? {},
    requires: flags.require ?? {},
    ...(flags.node === undefined ? {} : { nodeId: flags.node }),
    ...(flags.spread === undefined ? {} : { spread: flags.spread }),
    onNodeLoss: flags.onNodeLoss,
    reuse: flags.reuse,
    ...(flags.audit ? { audit: true } : {}),
    wait: flags.wait,
  };
}

/** A plan that leaves copies without a place ends like the start that would be refused. */
function showPlan(session: Session, plan: ControlAnswer<"ctl.instance.start">): void {
  session.show(plan, () => placementSheet(session.paint, plan));
  if (plan.withoutPlace !== undefined) session.exit(exitCodes.failed);
}

/** Adds `stop`, `restart`, `ps` and `inspect`. */
export function addLife(program: Command, surroundings: Surroundings): void {
  for (const verb of ["stop", "restart"] as const) {
    program
      .command(verb)
      .description(
        verb === "stop" ? "end an instance, or all of a name" : "restart an instance, also one that gave up",
      )
      .argument("<target>", "an instance id or a name")
      .action((word: string, _flags: unknown, command: Command) =>
        withClient(surroundings, command, async (client, session) => {
          const instances = await client[verb](await resolveTarget(client, word));
          session.show({ ok: true, instances }, () =>
            instanceTable(session.paint, session.clock.now(), instances),
          );
        }),
      );
  }
  program
    .command("ps")
    .description("list instances")
    .argument("[target]", "an instance id or a name")
    .option("-a, --all", "also those that are stopped", false)
    .option("--node <id>", "only those of that node")
    .action((word: string | undefined, flags: { all: boolean; node?: string }, command: Command) =>
      withClient(surroundings, command, async (client, session) => {
        const target = word === undefined ? {} : await resolveTarget(client, word);
        const node = flags.node === undefined ? {} : { nodeId: flags.node };
        const instances = await collect(client.list({ ...target, ...node, all: flags.all }));
        session.show({ ok: true, instances }, () =>
          instanceTable(session.paint, session.clock.now(), instances),
        );
      }),
    );
  program
    .command("inspect")
    .description(
      "everything that is known of an instance; or, of a .wasm file, its kind and the grants it needs",
    )
    .argument("<target>", "an instance id or a name, or a .wasm file")
    .action((word: string, _flags: unknown, command: Command) =>
      isFile(word)
        ? runWith(surroundings, command, (session) => inspectFile(session, word))
        : withClient(surroundings, command, async (client, session) => {
            const ids = await resolveIds(client, word);
            const answers = await Promise.all(ids.map((instanceId) => client.query(instanceId)));
            const [first] = answers;
            session.show(
              answers.length === 1 ? first : { ok: true, instances: answers.map((one) => one.instance) },
              () =>
                answers
                  .map((one) => instanceSheet(session.paint, session.clock.now(), one.instance))
                  .join("\n\n"),
            );
          }),
    );
}

/** No id has a dot or a slash. */
function isFile(word: string): boolean {
  return /[./]/.test(word);
}

async function inspectFile(session: Session, file: string): Promise<void> {
  const bytes = await readModule(file);
  const { describeModule } = await import("../../src/wasm/describe-module.ts");
  const described = describeFile(file, bytes.length, describeModule(bytes));
  session.show({ ok: true, ...described }, () => moduleSheet(session.paint, described));
}

interface CallFlags {
  timeout: number;
  correlationId?: string;
}

/** Adds `call`. */
export function addCall(program: Command, surroundings: Surroundings): void {
  program
    .command("call")
    .description("call a guest and print its answer, byte for byte")
    .argument("<target>", "an instance id, or a name (one of those that share it answers)")
    .argument("<operation>")
    .argument("[payload]", "text; - reads it from stdin", "")
    .option("--timeout <duration>", "how long to wait", msOf, clientLimits.callTimeoutMsDefault)
    .option("--correlation-id <id>", "goes into log lines and on to what the guest calls")
    .action((target: string, operation: string, payload: string, flags: CallFlags, command: Command) =>
      withClient(surroundings, command, async (client, session) => {
        const bytes = payload === "-" ? await session.readInput() : new TextEncoder().encode(payload);
        const correlation = flags.correlationId === undefined ? {} : { correlationId: flags.correlationId };
        session.write(
          await client.call(target, operation, bytes, { timeoutMs: flags.timeout, ...correlation }),
        );
      }),
    );
}

async function moduleOf(word: string) {
  if (word.startsWith("sha256:")) return { digest: word };
  if (word.startsWith("oci://")) return { oci: word.slice("oci://".length) };
  return { bytes: await readModule(word) };
}
