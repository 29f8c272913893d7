import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/clock.ts";
import type { Credentials } from "../../src/protocol/credentials.ts";
import { type AuthDirectory, credsFileOf, newAuthDirectory } from "../../src/trust/auth-directory.ts";
import type { HostFlags } from "../../src/trust/identities.ts";
import { addIdentity, type Change, writeChange } from "../../src/trust/membership.ts";
import { accountsConfig } from "../../src/trust/server-config.ts";

type RoleName = Credentials["role"];

/** The identities of a lattice for a test, as `wasmatrix auth` makes them. */
export interface LatticeRoles extends Disposable {
  /** The folder that holds them. */
  readonly path: string;
  /** What a server reads of them now, in the form that `startNatsServer` takes. */
  config(): string;
  /** Makes an identity unless it is there, and gives its credentials file. */
  creds(role: RoleName, id: string, flags?: HostFlags): string;
  /** Changes them in any other way. */
  change(work: (directory: AuthDirectory) => Change): void;
}

/** Makes a folder without anybody in it. */
export function createLatticeRoles(lattice = "default"): LatticeRoles {
  const path = mkdtempSync(join(tmpdir(), "wasmatrix-auth-"));
  const store = join(path, "jetstream");
  let directory = newAuthDirectory(path, lattice, { host: "127.0.0.1", port: 4222, store });
  const change: LatticeRoles["change"] = (work) => {
    const made = work(directory);
    directory = made.directory;
    writeChange(made);
  };
  writeChange({ directory, written: [], removed: [] });
  return {
    path,
    config: () => accountsConfig(directory.known),
    creds(role, id, flags = {}) {
      if (!directory.known.identities.some((one) => one.role === role && one.id === id))
        change((present) => addIdentity(present, systemClock, role, id, flags));
      return credsFileOf(path, role, id);
    },
    change,
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}
