import { join, resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { type Credentials, inboxPrefixOf, RoleName } from "../../src/protocol/credentials.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { assertId } from "../../src/protocol/ids.ts";
import {
  authFiles,
  type AuthDirectory,
  readAuthDirectory,
  writeWhole,
} from "../../src/trust/auth-directory.ts";
import {
  addIdentity,
  allowIdentity,
  credentialsOf,
  finishRootRotation,
  finishRotation,
  revokeIdentity,
  rotateIdentity,
  rotateRoot,
} from "../../src/trust/membership.ts";
import { findIdentity } from "../../src/trust/identities.ts";
import { changeDirectory, type Made, serverText } from "../auth/change.ts";
import { checkAuth } from "../auth/check.ts";
import { stateHome } from "../auth/context.ts";
import { identityList, identityTable } from "../auth/identity-list.ts";
import { urlOf } from "../auth/reload.ts";
import { initDirectory, type InitFlags } from "../auth/init.ts";
import { wholeNumber } from "../parse/usage.ts";
import { pairs } from "../render/table.ts";
import { runWith, type Session, type Surroundings } from "../session.ts";

interface DirectoryFlags {
  dir?: string;
}
interface AddFlags extends DirectoryFlags {
  hosts?: string[];
  topics?: string[];
}

/** Adds `auth`: who may sign in to a lattice. It works on files, and tells a server of this machine. */
export function addAuth(program: Command, surroundings: Surroundings): void {
  const auth = program
    .command("auth")
    .description("who may sign in to a lattice, and what the bus lets them do");
  const command = (name: string, says: string) =>
    auth
      .command(name)
      .description(says)
      .option("--dir <folder>", "where it is kept; that of `wasmatrix up` unless given");
  const run =
    <Flags extends DirectoryFlags>(work: (session: Session, path: string, flags: Flags) => Promise<void>) =>
    (flags: Flags, self: Command) =>
      runWith(surroundings, self, (session) => work(session, directoryOf(session, flags), flags));

  command("init", "make keys, credentials and the server's configuration of a new lattice")
    .option("--host <address>", "where the server listens", "127.0.0.1")
    .option("--port <n>", "on which port", wholeNumber, 4222)
    .option("--store <folder>", "where JetStream keeps what it has; in the folder unless given")
    .option("--cluster <name>", "several servers: how they are called together")
    .option(
      "--cluster-listen <address>",
      "where this one listens for the others; its --host and 6222 unless given",
    )
    .option("--routes <addresses>", "where the others listen, with commas", list)
    .option("--tls-verify", "clients must show a certificate of --tls-ca", false)
    .action(
      run<InitFlags & DirectoryFlags>(async (session, path, flags) => {
        const directory = initDirectory(session, path, flags);
        session.show({ ok: true, dir: path, ...files(path), identities: identityList(directory) }, () =>
          initText(session, directory),
        );
      }),
    );
  addMembers(command, surroundings);
  command("list", "who there is").action(
    run(async (session, path) => {
      const directory = readAuthDirectory(path);
      session.show(
        { ok: true, dir: path, roots: directory.known.roots, identities: identityList(directory) },
        () => identityTable(session.paint, session.clock, directory),
      );
    }),
  );
  command("refresh", "write the server's configuration anew, after an update of wasmatrix").action(
    run(async (session, path) => {
      const made = await changeDirectory(session.clock, path, (directory) => ({
        directory,
        written: [],
        removed: [],
      }));
      showMade(session, made, "the configuration is what the table of subjects gives");
    }),
  );
  command("check", "look whether the files and the server do what they are for").action(
    run(async (session, path) => {
      const given = session.natsGiven ? session.nats : undefined;
      const checks = await checkAuth(readAuthDirectory(path), session.clock, given);
      const { paint } = session;
      session.show({ ok: checks.every(({ ok }) => ok), checks }, () =>
        checks
          .map(({ what, ok, says }) => `${ok ? paint.green("✔") : paint.red("✘")} ${what.padEnd(16)} ${says}`)
          .join("\n"),
      );
      if (!checks.every(({ ok }) => ok)) session.exit(1);
    }),
  );
}

function addMembers(command: (name: string, says: string) => Command, surroundings: Surroundings): void {
  command("add", "let somebody in: makes a credentials file")
    .argument("<role>", RoleName.options.join(", "))
    .argument("<id>", "its name")
    .option(
      "--hosts <providers>",
      "what a node or provider may run: kv,messaging, <name>=<kind>, * for any",
      list,
    )
    .option("--topics <topics>", "what its messaging may use: orders.>,alarms.*", list)
    .action((role: string, id: string, flags: AddFlags, self: Command) =>
      runWith(surroundings, self, async (session) => {
        const named = roleOf(role);
        const { hosts, topics } = flags;
        const made = await changeDirectory(session.clock, directoryOf(session, flags), (directory) =>
          addIdentity(directory, session.clock, named, id, { hosts, topics }),
        );
        showMade(session, made, `${role} ${session.paint.bold(id)} may sign in`);
      }),
    );
  command("allow", "change what a node or provider may run; its keys stay")
    .argument("<role>")
    .argument("<id>")
    .option("--hosts <providers>", "all that it may run from now on", list)
    .option("--topics <topics>", "all topics that its messaging may use", list)
    .action((role: string, id: string, flags: AddFlags, self: Command) =>
      runWith(surroundings, self, async (session) => {
        const { hosts, topics } = flags;
        const made = await changeDirectory(session.clock, directoryOf(session, flags), (directory) =>
          allowIdentity(directory, role, id, { hosts, topics }),
        );
        showMade(
          session,
          made,
          `${role} ${session.paint.bold(id)} may run ${(hosts ?? []).join(", ") || "nothing"}`,
        );
      }),
    );
  command("seed", "give other NATS tools who somebody is: a file with the seed alone")
    .argument("<role>")
    .argument("<id>")
    .requiredOption("--out <file>", "where it is written")
    .action((role: string, id: string, flags: DirectoryFlags & { out: string }, self: Command) =>
      runWith(surroundings, self, async (session) => {
        const directory = readAuthDirectory(directoryOf(session, flags));
        const { nats } = credentialsOf(directory, findIdentity(directory.known, role, id));
        writeWhole(resolve(flags.out), `${nats}\n`, 0o600);
        const inbox = inboxPrefixOf(roleOf(role), id);
        session.show(
          { ok: true, file: resolve(flags.out), inboxPrefix: inbox },
          () => `nats --server ${urlOf(directory)} --nkey ${flags.out} --inbox-prefix ${inbox} …`,
        );
      }),
    );
  command("revoke", "let somebody in no more; its connections are closed")
    .argument("<role>")
    .argument("<id>")
    .action((role: string, id: string, flags: DirectoryFlags, self: Command) =>
      runWith(surroundings, self, async (session) => {
        const made = await changeDirectory(session.clock, directoryOf(session, flags), (directory) =>
          revokeIdentity(directory, role, id),
        );
        showMade(session, made, `${role} ${session.paint.bold(id)} is refused`);
      }),
    );
  command("rotate", "new keys for somebody, or for the root that says who is a control plane")
    .argument("<role>", "or root")
    .argument("[id]")
    .option("--finish", "everybody has the new file: the old keys count no more", false)
    .action(
      (role: string, id: string | undefined, flags: DirectoryFlags & { finish: boolean }, self: Command) =>
        runWith(surroundings, self, async (session) => {
          const { clock } = session;
          const made = await changeDirectory(clock, directoryOf(session, flags), (directory) => {
            if (role === "root")
              return flags.finish ? finishRootRotation(directory, clock) : rotateRoot(directory, clock);
            assertId(id, "id");
            return flags.finish
              ? finishRotation(directory, role, id)
              : rotateIdentity(directory, clock, role, id);
          });
          showMade(session, made, rotationText(role, id, flags.finish));
        }),
    );
}

function rotationText(role: string, id: string | undefined, isFinished: boolean): string {
  if (role === "root")
    return isFinished
      ? "only the new root counts; bring everybody their file, control planes first"
      : "both roots count; bring everybody their new file and restart them, nodes and providers first, control planes last, then: wasmatrix auth rotate root --finish";
  return isFinished
    ? `only the new keys of ${role} ${id} count`
    : `both keys of ${role} ${id} count; once everybody uses the new file: wasmatrix auth rotate ${role} ${id} --finish`;
}

function showMade(session: Session, { directory, written, server }: Made, text: string): void {
  const { paint } = session;
  session.show({ ok: true, dir: directory.path, creds: written, server }, () =>
    [
      `${paint.green("●")} ${text}`,
      ...written.map((file) => `  ${file}`),
      paint.dim(`  ${serverText(directory, server)}`),
    ].join("\n"),
  );
}

function initText({ paint }: Session, directory: AuthDirectory): string {
  const { path, known } = directory;
  const { config, secrets, creds } = authFiles(path);
  return [
    `${paint.green("●")} lattice ${paint.bold(known.lattice)} lets in who is named, and nobody else`,
    "",
    pairs(paint, [
      ["configuration", config],
      ["credentials", `${creds}/<role>-<id>.json`],
      ["root", `${secrets}  ${paint.dim("keep a copy elsewhere, and show it to nobody")}`],
    ]),
    "",
    ...identityList(directory).map(({ role, id }) => `  ${role} ${paint.bold(id)}`),
    "",
    `${paint.dim("now")}`,
    `  nats-server -c ${config}`,
    `  wasmatrix auth check --dir ${path}`,
    `  wasmatrix node --creds ${creds}/node-node-1.json`,
  ].join("\n");
}

function files(path: string) {
  const { config, accounts, creds } = authFiles(path);
  return { config, accounts, creds };
}

function directoryOf({ env, lattice }: Session, { dir }: DirectoryFlags): string {
  assertId(lattice, "lattice");
  return resolve(dir ?? join(stateHome(env), lattice, "auth"));
}

function roleOf(text: string): Credentials["role"] {
  const role = RoleName.safeParse(text);
  if (role.success) return role.data;
  throw new Failure("INVALID_REQUEST", "there is no such role", {
    fix: `There are: ${RoleName.options.join(", ")}.`,
  });
}

function list(text: string): string[] {
  const all = text.split(",").map((one) => one.trim());
  if (all.some((one) => one === ""))
    throw new InvalidArgumentError("it must be names with commas between them");
  return all;
}
