import { spawnSync } from "node:child_process";
import type { Command } from "commander";
import type { ViewStatus } from "../../src/protocol/reply.ts";
import { productVersion } from "../../src/protocol/version.ts";
import { moduleTable, nodeTable } from "../render/lists.ts";
import { size } from "../render/quantities.ts";
import { type Surroundings, withClient } from "../session.ts";

/** Adds `nodes`, `modules` and `doctor`. */
export function addLattice(program: Command, surroundings: Surroundings): void {
  const list = (name: string, says: string) => program.command(name).description(says);
  list("nodes", "list the nodes").action((_flags: unknown, command: Command) =>
    withClient(surroundings, command, async (client, session) => {
      const answer = await client.nodes();
      session.show(answer, () => nodeTable(session.paint, session.clock.now(), answer.nodes));
    }),
  );
  list("modules", "list the modules and who holds them").action((_flags: unknown, command: Command) =>
    withClient(surroundings, command, async (client, session) => {
      const answer = await client.modules();
      session.show(answer, () => moduleTable(session.paint, answer.modules));
    }),
  );
  list("doctor", "check what a lattice needs, from here").action((_flags: unknown, command: Command) =>
    withClient(surroundings, command, async (client, session) => {
      const startedMs = session.clock.now();
      const nodes = await client.nodes();
      const roundTripMs = session.clock.now() - startedMs;
      const { providers } = await client.providers();
      const guests = nodes.nodes.filter((node) => node.status === "alive" && node.guestKinds.length > 0);
      const available = providers.filter((one) => one.status === "available");
      const server = natsServerVersion();
      const checks = [
        { what: "node", ok: true, says: `wasmatrix ${productVersion} on Node ${process.versions.node}` },
        {
          what: "nats-server here",
          ok: server !== undefined,
          says: server ?? "not on the PATH; only `wasmatrix up` needs it",
        },
        {
          what: "bus",
          ok: true,
          says: `${session.nats}, messages up to ${size(client.bus.maxPayloadBytes)}`,
        },
        { what: "control plane", ok: true, says: `answers in ${roundTripMs} ms` },
        {
          what: "view",
          ok: nodes.view.complete,
          says: viewText(nodes.view),
        },
        {
          what: "nodes",
          ok: guests.length > 0,
          says: guests.length > 0 ? `${guests.length} take guests` : "none; start one: wasmatrix node",
        },
        {
          what: "providers",
          ok: available.length > 0,
          says:
            available.length > 0
              ? available.map((one) => one.provider).join(", ")
              : "none; start one: wasmatrix provider kv",
        },
      ];
      const { paint } = session;
      session.show({ ok: checks.every((check) => check.ok), checks }, () =>
        checks
          .map(({ what, ok, says }) => `${ok ? paint.green("✔") : paint.red("✘")} ${what.padEnd(16)} ${says}`)
          .join("\n"),
      );
      if (guests.length === 0 || !nodes.view.complete) session.exit(1);
    }),
  );
}

function viewText({ complete, gaps, neverHeard = [] }: ViewStatus): string {
  if (complete) return "complete";
  const named = gaps.map((nodeId) => (neverHeard.includes(nodeId) ? `${nodeId} (never heard)` : nodeId));
  return `incomplete: ${named.join(", ")}`;
}

function natsServerVersion(): string | undefined {
  const { status, stdout } = spawnSync("nats-server", ["--version"], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}
