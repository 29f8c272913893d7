import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeDirectory } from "../../cli/auth/init.ts";
import { systemClock } from "../../src/clock.ts";
import { subjectFor } from "../../src/protocol/addresses.ts";
import { configOf, credsFileOf } from "../../src/trust/auth-directory.ts";
import { startNatsServer } from "../../test/support/nats-server.ts";
import { measured } from "./calls.ts";
import { compare, type Figure, short } from "./figure.ts";
import { lattice, startGuests } from "./guest-engine.ts";
import { startProgram } from "./program.ts";

/** Calls of an echo guest on a server that checks the permissions of each role, against one that checks nothing. */
export async function callsWithRoles(name: string): Promise<Figure> {
  using stack = new DisposableStack();
  const path = mkdtempSync(join(tmpdir(), "wasmatrix-roles-"));
  stack.defer(() => rmSync(path, { recursive: true, force: true }));
  const settings = { host: "127.0.0.1", port: 4222, store: path };
  const hosts = { hostsOfNode: undefined, hostsOfProvider: ["kv"] };
  const directory = makeDirectory({ clock: systemClock, lattice }, join(path, "auth"), settings, hosts);
  const credsOf = (role: string, id: string) => credsFileOf(directory.path, role, id);
  await using closed = await startNatsServer({ config: configOf(directory).accounts, jetstream: true });
  await using open = await startNatsServer();
  const node = { nodeId: "node-1", credsFile: credsOf("node", "node-1") };
  await using guarded = await startGuests(closed.url, "echo", 1, [], node);
  await using bare = await startGuests(open.url, "echo", 1);
  const operator = [closed.url, credsOf("operator", "operator")];
  using ours = await startProgram("./programs/our-requester.ts", operator);
  using theirs = await startProgram("./programs/our-requester.ts", [open.url]);
  const subjects = [subjectFor("call", { lattice, target: bare.instanceIds[0] ?? "", operation: "echo" })];
  const round = { subjects, payloadBytes: 32, answerBytes: 32, inFlight: 64, durationMs: 600 };
  const withRoles = measured(ours, guarded.pid, round);
  const without = measured(theirs, bare.pid, round);
  const { spread, ...result } = await compare(
    async () => (await withRoles.round()).perSecond,
    async () => (await without.round()).perSecond,
  );
  const note = `CPU of the engine per call ${short(withRoles.cpuUs())} µs, without roles ${short(without.cpuUs())} µs; ratio ${spread}`;
  return { name, unit: "calls/s", ...result, note };
}
