import { mkdirSync, readFileSync } from "node:fs";
import { nkeys } from "nats";
import type { Clock } from "../clock.ts";
import { authLimits } from "../limits.ts";
import { type Credentials, credentialsIn } from "../protocol/credentials.ts";
import { Failure } from "../protocol/errors.ts";
import { applicationPermissionsOf } from "../protocol/roles.ts";
import {
  type AuthDirectory,
  authFiles,
  credsFileOf,
  writeAuthDirectory,
  writeWhole,
} from "./auth-directory.ts";
import { issueCertificate } from "./certificate.ts";
import {
  assertHosting,
  assertNew,
  findIdentity,
  type HostFlags,
  identityOf,
  type KnownIdentity,
} from "./identities.ts";
import { generateKeyPair, signingKeyFrom } from "./keys.ts";

type RoleName = Credentials["role"];

/** What a change did: the folder as it is now (not written yet), and credentials files to be written. */
export interface Change {
  readonly directory: AuthDirectory;
  readonly written: readonly Credentials[];
  /** Credentials files that are of no use any more. */
  readonly removed: readonly string[];
}

/** Lets somebody in, with new keys. */
export function addIdentity(
  directory: AuthDirectory,
  clock: Clock,
  role: RoleName,
  id: string,
  flags: HostFlags = {},
): Change {
  assertNew(directory.known, role, id, flags);
  const hosts = flags.hosts === undefined || flags.hosts.length === 0 ? {} : { hosts: [...flags.hosts] };
  const topics = flags.topics === undefined ? {} : { topics: [...flags.topics] };
  return withKeys(directory, clock, { role, id, keys: [], ...hosts, ...topics });
}

/** Lets somebody host other providers, or use other topics, with the keys that it has. */
export function allowIdentity(directory: AuthDirectory, role: string, id: string, flags: HostFlags): Change {
  const known = findIdentity(directory.known, role, id);
  assertHosting(role, flags);
  const { hosts: _hosts, topics: _topics, ...rest } = known;
  const identity: KnownIdentity = {
    ...rest,
    ...(flags.hosts === undefined || flags.hosts.length === 0 ? {} : { hosts: [...flags.hosts] }),
    ...(flags.topics === undefined ? {} : { topics: [...flags.topics] }),
  };
  const { hosts: _before, ...credentials } = credentialsOf(directory, known);
  const needsUser =
    applicationPermissionsOf(identityOf(directory.known, identity), []) !== undefined &&
    credentials.application === undefined;
  const application = needsUser ? newUser() : undefined;
  const changed = application === undefined ? identity : { ...identity, application: [application.key] };
  const written: Credentials = {
    ...credentials,
    ...(application === undefined ? {} : { application: application.seed }),
    ...(identity.hosts === undefined ? {} : { hosts: identity.hosts }),
  };
  return { directory: replaced(directory, changed), written: [written], removed: [] };
}

/** Takes everything from somebody; its credentials are refused once the server has read its configuration again. */
export function revokeIdentity(directory: AuthDirectory, role: string, id: string): Change {
  const revoked = findIdentity(directory.known, role, id);
  const identities = directory.known.identities.filter((one) => one !== revoked);
  return {
    directory: { ...directory, known: { ...directory.known, identities } },
    written: [],
    removed: [credsFileOf(directory.path, role, id)],
  };
}

/** Gives somebody new keys; the present ones go on counting until `finishRotation`. */
export function rotateIdentity(directory: AuthDirectory, clock: Clock, role: string, id: string): Change {
  const known = findIdentity(directory.known, role, id);
  if (known.keys.length > 1)
    throw new Failure("INVALID_REQUEST", `${role} ${id} is changing its keys already`, {
      fix: `Once everybody uses the new file: wasmatrix auth rotate ${role} ${id} --finish`,
    });
  return withKeys(directory, clock, known);
}

/** Only the newest keys of somebody count from now on. */
export function finishRotation(directory: AuthDirectory, role: string, id: string): Change {
  const known = findIdentity(directory.known, role, id);
  if (known.keys.length < 2) throw notRotating(`${role} ${id}`);
  const { application } = known;
  const newest: KnownIdentity = {
    ...known,
    keys: known.keys.slice(-1),
    ...(application === undefined ? {} : { application: application.slice(-1) }),
  };
  return { directory: replaced(directory, newest), written: [], removed: [] };
}

/** A second root: everybody is to trust both, and control planes get certificates of the new one. */
export function rotateRoot(directory: AuthDirectory, clock: Clock): Change {
  if (directory.secrets.roots.length > 1)
    throw new Failure("INVALID_REQUEST", "the root is being replaced already", {
      fix: "Once everybody has the new files: wasmatrix auth rotate root --finish",
    });
  return withRoots(directory, clock, [generateKeyPair(), ...directory.secrets.roots]);
}

/** Only the newest root counts from now on. */
export function finishRootRotation(directory: AuthDirectory, clock: Clock): Change {
  if (directory.secrets.roots.length < 2) throw notRotating("the root");
  return withRoots(directory, clock, directory.secrets.roots.slice(0, 1));
}

/** Writes what a change made; credentials first, so that nobody is let in whose file is not there. Removes nothing. */
export function writeChange({ directory, written }: Change): void {
  mkdirSync(authFiles(directory.path).creds, { recursive: true, mode: 0o700 });
  for (const credentials of written) {
    const file = credsFileOf(directory.path, credentials.role, credentials.id);
    writeWhole(file, `${JSON.stringify(credentials, undefined, 2)}\n`, 0o600);
  }
  writeAuthDirectory(directory);
}

function withKeys(directory: AuthDirectory, clock: Clock, known: KnownIdentity): Change {
  const { lattice, roots } = directory.known;
  const nats = newUser();
  const needsApplication = applicationPermissionsOf(identityOf(directory.known, known), []) !== undefined;
  const application = needsApplication ? newUser() : undefined;
  const signing =
    known.role === "control-plane"
      ? certified(directory, clock, known.id, generateKeyPair().seed)
      : undefined;
  const identity: KnownIdentity = {
    ...known,
    keys: [...known.keys, nats.key],
    ...(application === undefined ? {} : { application: [...(known.application ?? []), application.key] }),
    ...(signing === undefined ? {} : { certificateUntil: signing.until }),
  };
  const credentials: Credentials = {
    version: 1,
    lattice,
    role: known.role,
    id: known.id,
    nats: nats.seed,
    ...(application === undefined ? {} : { application: application.seed }),
    ...(known.hosts === undefined ? {} : { hosts: known.hosts }),
    roots,
    ...(signing === undefined ? {} : { signing: { seed: signing.seed, certificate: signing.certificate } }),
  };
  return { directory: replaced(directory, identity), written: [credentials], removed: [] };
}

function withRoots(directory: AuthDirectory, clock: Clock, roots: AuthDirectory["secrets"]["roots"]): Change {
  const keys = roots.map(({ key }) => key);
  const next: AuthDirectory = {
    ...directory,
    known: { ...directory.known, roots: keys },
    secrets: { ...directory.secrets, roots },
  };
  const written: Credentials[] = [];
  let changed = next;
  for (const known of directory.known.identities) {
    const before = credentialsOf(directory, known);
    const signing =
      before.signing === undefined ? undefined : certified(next, clock, known.id, before.signing.seed);
    written.push({
      ...before,
      roots: keys,
      ...(signing === undefined ? {} : { signing: { seed: signing.seed, certificate: signing.certificate } }),
    });
    if (signing !== undefined) changed = replaced(changed, { ...known, certificateUntil: signing.until });
  }
  return { directory: changed, written, removed: [] };
}

/** The credentials of somebody who is known; INVALID_REQUEST where the file is gone. */
export function credentialsOf({ path }: AuthDirectory, { role, id }: KnownIdentity): Credentials {
  const file = credsFileOf(path, role, id);
  try {
    const credentials = credentialsIn(readFileSync(file, "utf8"));
    if (credentials !== undefined) return credentials;
  } catch {
    // Said below, for a file that is gone and for one that is broken.
  }
  throw new Failure("INVALID_REQUEST", `${file} is gone or broken`, {
    fix: `Make it anew: wasmatrix auth revoke ${role} ${id}, then wasmatrix auth add ${role} ${id}`,
  });
}

/** A certificate of the present root for that key. */
function certified({ known, secrets }: AuthDirectory, clock: Clock, controlPlane: string, seed: string) {
  const until = new Date(clock.now() + authLimits.certificateMs).toISOString();
  const [root] = secrets.roots;
  if (root === undefined) throw new Error("a lattice without a root");
  const { key } = signingKeyFrom(seed);
  const claims = { lattice: known.lattice, controlPlane, key, until };
  return { seed, until, certificate: issueCertificate(signingKeyFrom(root.seed), claims) };
}

function replaced(directory: AuthDirectory, identity: KnownIdentity): AuthDirectory {
  const others = directory.known.identities.filter(
    (one) => one.role !== identity.role || one.id !== identity.id,
  );
  return { ...directory, known: { ...directory.known, identities: [...others, identity] } };
}

function newUser(): { key: string; seed: string } {
  const user = nkeys.createUser();
  return { key: user.getPublicKey(), seed: new TextDecoder().decode(user.getSeed()) };
}

function notRotating(who: string): Failure {
  return new Failure("INVALID_REQUEST", `${who} is not changing its keys`, {
    fix: "Begin with the same command without --finish.",
  });
}
