import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nkeys } from "nats";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { authenticatorFrom } from "../../src/bus/credentials.ts";

let credsFile: string;

beforeEach(() => {
  const directory = mkdtempSync(join(tmpdir(), "credentials-"));
  credsFile = join(directory, "user.creds");
  onTestFinished(() => rmSync(directory, { recursive: true }));
});

function user() {
  const pair = nkeys.createUser();
  return { key: pair.getPublicKey(), seed: new TextDecoder().decode(pair.getSeed()) };
}

test("a file with a user's seed signs as that user", () => {
  const { key, seed } = user();
  writeFileSync(credsFile, `${seed}\n`);
  const { nkey, sig } = authenticatorFrom(credsFile)("nonce") as { nkey: string; sig: string };
  expect(nkey).toBe(key);
  expect(nkeys.fromPublic(key).verify(Buffer.from("nonce"), Buffer.from(sig, "base64"))).toBe(true);
});

test("a file as nsc writes it signs as the user of its JWT", () => {
  const { key, seed } = user();
  writeFileSync(
    credsFile,
    [
      "-----BEGIN NATS USER JWT-----",
      "eyJ0.eyJ1.c2ln",
      "------END NATS USER JWT------",
      "",
      "-----BEGIN USER NKEY SEED-----",
      seed,
      "------END USER NKEY SEED------",
      "",
    ].join("\n"),
  );
  expect(authenticatorFrom(credsFile)("nonce")).toMatchObject({ jwt: "eyJ0.eyJ1.c2ln", nkey: key });
});

test("what is in the file at a reconnect counts, and what was last good while there is nothing usable", () => {
  const [first, second] = [user(), user()];
  writeFileSync(credsFile, first.seed);
  const authenticate = authenticatorFrom(credsFile);
  const keys: unknown[] = [];
  for (const content of [first.seed, "half a fi", second.seed, ""]) {
    writeFileSync(credsFile, content);
    keys.push((authenticate("nonce") as { nkey: string }).nkey);
  }
  rmSync(credsFile);
  keys.push((authenticate("nonce") as { nkey: string }).nkey);
  writeFileSync(credsFile, "");
  expect(keys).toEqual([first.key, first.key, second.key, second.key, second.key]);
});

test("a file that is missing or holds something else is refused with what to do", () => {
  const refused = expect.objectContaining({ code: "INVALID_REQUEST", fix: expect.stringContaining("seed") });
  expect(() => authenticatorFrom(credsFile)).toThrow(refused);
  for (const content of [
    "",
    "SUxx",
    nkeys.createAccount().getPublicKey(),
    new TextDecoder().decode(nkeys.createAccount().getSeed()),
  ]) {
    writeFileSync(credsFile, content);
    expect(() => authenticatorFrom(credsFile)).toThrow(refused);
  }
});
