import { Command } from "commander";
import { productVersion } from "../src/protocol/version.ts";
import { addAuth } from "./commands/auth.ts";
import { addAudit } from "./commands/audit.ts";
import { addCapabilities } from "./commands/capabilities.ts";
import { addCall, addLife, addStart } from "./commands/instances.ts";
import { addLattice } from "./commands/lattice.ts";
import { addModules } from "./commands/modules.ts";
import { addMoves } from "./commands/moves.ts";
import { addParts } from "./commands/parts.ts";
import { addProvider } from "./commands/provider.ts";
import { addProviders } from "./commands/providers.ts";
import { addWatch } from "./commands/watch.ts";
import { exitCodes, type Surroundings } from "./session.ts";

/** The whole command line; `parseAsync` runs it. */
export function createProgram(surroundings: Surroundings): Command {
  const { env } = surroundings;
  const program = new Command("wasmatrix")
    .description("WebAssembly guests on a lattice of nodes that share nothing but a NATS bus")
    .version(productVersion)
    .option("--nats <url>", "where the bus is (or NATS_URL)", env["NATS_URL"] ?? "nats://127.0.0.1:4222")
    .option(
      "--creds <file>",
      "who you are: a file of `wasmatrix auth`, a seed or a .creds file (or WASMATRIX_CREDS)",
    )
    .option("--lattice <name>", "which lattice on that bus; that of the credentials, else `default`")
    .option("--tls-ca <file>", "who vouches for the bus (or NATS_CA)", env["NATS_CA"])
    .option("--tls-cert <file>", "what vouches for you where the bus asks (or NATS_CERT)", env["NATS_CERT"])
    .option("--tls-key <file>", "the key of that certificate (or NATS_KEY)", env["NATS_KEY"])
    .option("--json", "answers and errors as JSON, one object a line", false)
    .configureOutput({ writeOut: surroundings.write, writeErr: surroundings.writeError })
    .showHelpAfterError("(wasmatrix --help lists what there is)")
    .exitOverride((error) => {
      surroundings.exit(error.exitCode === 0 ? exitCodes.done : exitCodes.usage);
      throw error;
    });
  addParts(program, surroundings);
  addProvider(program, surroundings);
  addStart(program, surroundings);
  addLife(program, surroundings);
  addCall(program, surroundings);
  addWatch(program, surroundings);
  addCapabilities(program, surroundings);
  addAudit(program, surroundings);
  addModules(program, surroundings);
  addMoves(program, surroundings);
  addLattice(program, surroundings);
  addProviders(program, surroundings);
  addAuth(program, surroundings);
  return program;
}
