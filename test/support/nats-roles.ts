import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nkeys } from "nats";

/** What a role may not do; filters. */
export interface RoleDenials {
  readonly publish?: readonly string[];
  readonly subscribe?: readonly string[];
}

/** Users for a test's server: a configuration that lets in nobody else, and a credentials file for each role. */
export interface NatsRoles<Role extends string> {
  readonly config: string;
  /** The same without one of the roles. */
  configWithout(role: Role): string;
  credsFile(role: Role): string;
  seed(role: Role): string;
  /** Removes the files. */
  remove(): void;
}

/** Makes one nkey user for each role. */
export function createNatsRoles<Role extends string>(
  denials: Readonly<Record<Role, RoleDenials>>,
): NatsRoles<Role> {
  const directory = mkdtempSync(join(tmpdir(), "nats-roles-"));
  const roles = Object.keys(denials) as Role[];
  const credsFile = (role: Role) => join(directory, `${role}.nk`);
  const users = roles.map((role) => {
    const user = nkeys.createUser();
    writeFileSync(credsFile(role), user.getSeed(), { mode: 0o600 });
    const { publish = [], subscribe = [] } = denials[role];
    const permissions = {
      publish: { allow: [">"], deny: publish },
      subscribe: { allow: [">"], deny: subscribe },
    };
    return { role, text: JSON.stringify({ nkey: user.getPublicKey(), permissions }) };
  });
  const configOf = (chosen: typeof users) =>
    `accounts { LATTICE { users: [ ${chosen.map(({ text }) => text).join(", ")} ] } }`;
  return {
    config: configOf(users),
    configWithout: (role) => configOf(users.filter((user) => user.role !== role)),
    credsFile,
    seed: (role) => readFileSync(credsFile(role), "utf8"),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}
