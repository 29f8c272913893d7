import type { Command } from "commander";
import { type Grant, grantOf } from "../parse/grant.ts";
import { grantText } from "../render/lists.ts";
import { type Surroundings, withClient } from "../session.ts";
import { resolveTarget } from "../target.ts";

/** Adds `assign` and `revoke`. */
export function addCapabilities(program: Command, surroundings: Surroundings): void {
  program
    .command("assign")
    .description("grant an instance, or all of a name, from the next call on")
    .argument("<target>", "an instance id or a name")
    .argument("<grant>", "store=kv:read,kv:write[?bucket=x&provider=y]", grantOf)
    .action((word: string, grant: Grant, _flags: unknown, command: Command) =>
      withClient(surroundings, command, async (client, session) => {
        const instances = await client.assign(await resolveTarget(client, word), grant);
        session.show({ ok: true, instances }, () => {
          const text = grantText({ ...grant, config: grant.config ?? {} });
          return instances.map((id) => `${session.paint.bold(id)} now has ${text}`).join("\n");
        });
      }),
    );
  program
    .command("revoke")
    .description("take a grant back, from the next call on")
    .argument("<target>", "an instance id or a name")
    .argument("<capabilityId>", "such as store")
    .action((word: string, capabilityId: string, _flags: unknown, command: Command) =>
      withClient(surroundings, command, async (client, session) => {
        const instances = await client.revoke(await resolveTarget(client, word), capabilityId);
        session.show({ ok: true, instances }, () =>
          instances.map((id) => `${session.paint.bold(id)} no longer has ${capabilityId}`).join("\n"),
        );
      }),
    );
}
