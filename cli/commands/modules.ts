import type { Command } from "commander";
import { readModule } from "../read-module.ts";
import { progressBar } from "../render/progress.ts";
import { type Surroundings, withClient } from "../session.ts";

/** Adds `module put`. */
export function addModules(program: Command, surroundings: Surroundings): void {
  const module = program
    .command("module")
    .description("what the lattice holds of guests; see also `modules`");
  module
    .command("put")
    .description("store a module on a few nodes, for whoever starts it later by its digest")
    .argument("<file>", "a .wasm file")
    .action((file: string, _flags: unknown, command: Command) =>
      withClient(surroundings, command, async (client, session) => {
        const bytes = await readModule(file);
        const bar = progressBar(session, "uploading");
        const stored = await client.putModule(bytes, bar.show).finally(bar.end);
        session.show({ ok: true, ...stored }, () => stored.digest);
      }),
    );
}
