import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { authenticatorFrom } from "../../../../src/bus/credentials.ts";
import { readCredentials } from "../../../../src/modules/oci/credentials.ts";
import { readManifest } from "../../../../src/modules/oci/manifest.ts";
import { edit, edited } from "../bytes.ts";
import { holds, takenOrRefused, takenOrRefusedLater } from "../expect.ts";
import { fuzzTarget } from "../target.ts";
import { anyText } from "../words.ts";

const digest = `sha256:${"a".repeat(64)}`;
const size = fc.constantFrom<unknown>(0, 1, 100, -1, 0.5, 2 ** 53, 1e300, "100", null, 200_000_000);
const descriptor = fc.record(
  {
    mediaType: fc.oneof(fc.constantFrom("application/wasm", "application/vnd.x+wasm"), anyText),
    digest: fc.oneof(fc.constant(digest), anyText),
    size,
    annotations: fc.dictionary(fc.constantFrom("org.opencontainers.image.title", "x"), anyText),
    platform: fc.record({ architecture: fc.constantFrom("wasm", "wasm32", "amd64") }),
  },
  { requiredKeys: [] },
);
const manifest = fc.record(
  { layers: fc.array(descriptor, { maxLength: 3 }), manifests: fc.array(descriptor, { maxLength: 3 }) },
  { requiredKeys: [] },
);
const docker = fc.record(
  {
    auths: fc.dictionary(
      anyText,
      fc.record(
        { auth: anyText, username: anyText, password: anyText, registrytoken: fc.oneof(anyText, fc.nat()) },
        { requiredKeys: [] },
      ),
      { maxKeys: 4 },
    ),
  },
  { requiredKeys: [] },
);
const seed = "SUAOVPKYFG5HGTNGAUR5H6WYYRAIVCHHLCBSYHKSSUDSPW56PYB3UOMVYQ";
const creds = `-----BEGIN NATS USER JWT-----\neyJ0eXAiOiJKV1QifQ.e30.AAAA\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`;
const texts = fc.oneof(
  manifest.map((value) => JSON.stringify(value)),
  docker.map((value) => JSON.stringify(value)),
  fc.constantFrom(seed, creds, `\n ${seed} \n`),
  anyText,
);

let directory: string | undefined;

/** What registries answer, and the files with which a node shows itself to a registry and to a bus. */
export const target = fuzzTarget<Uint8Array>({
  name: "registry-files",
  weight: 0.2,
  arbitrary: fc
    .tuple(texts, fc.array(edit, { maxLength: 4 }))
    .map(([text, edits]) => edited(Buffer.from(text), edits)),
  async check(bytes) {
    const layer = takenOrRefused(["INVALID_MODULE"], () => readManifest(bytes, "registry.example.com/x:1"));
    directory ??= mkdtempSync(join(tmpdir(), "wasmatrix-fuzz-"));
    const file = join(directory, "file");
    writeFileSync(file, bytes);
    const secrets = await takenOrRefusedLater(["INVALID_REQUEST"], () => readCredentials(file));
    const user = takenOrRefused(["INVALID_REQUEST"], () => {
      const authenticator = authenticatorFrom(file);
      authenticator("nonce");
      return authenticator;
    });
    if (layer !== undefined && "sizeBytes" in layer)
      holds(layer.sizeBytes > 0 && Number.isSafeInteger(layer.sizeBytes), "a layer has no possible size");
    return layer !== undefined || secrets !== undefined || user !== undefined;
  },
  async end() {
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
    directory = undefined;
  },
});
