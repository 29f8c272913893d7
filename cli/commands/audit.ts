import type { Command } from "commander";
import { auditSheet } from "../render/audit.ts";
import { type Surroundings, withClient } from "../session.ts";
import { resolveTarget } from "../target.ts";

/** Adds `audit`. */
export function addAudit(program: Command, surroundings: Surroundings): void {
  program
    .command("audit")
    .description("what an instance, or all of a name, uses of its grants, and the fewest that would do")
    .argument("<target>", "an instance id or a name")
    .action((word: string, _flags: unknown, command: Command) =>
      withClient(surroundings, command, async (client, session) => {
        const audited = await client.audit(await resolveTarget(client, word));
        session.show(audited, () => auditSheet(session.paint, session.clock.now(), word, audited));
      }),
    );
}
