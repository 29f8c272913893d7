import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { registryLimits } from "../../src/limits.ts";
import { openModuleCache } from "../../src/modules/module-cache.ts";
import { createOciRegistry } from "../../src/modules/oci/registry.ts";
import { type DockerRegistry, registryUser, startDockerRegistry } from "../support/docker-registry.ts";

const clock = systemClock;
const wasmLayer = "application/wasm";
const directory = () => mkdtemp(join(tmpdir(), "wasmatrix-oci-"));
const digestOf = (bytes: Uint8Array) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const guest = (sizeBytes = 1_500_000) => new Uint8Array(randomBytes(sizeBytes));
const emptyCache = async () => openModuleCache({ directory: await directory() });

async function credentialsFile(config: unknown): Promise<string> {
  const file = join(await directory(), "config.json");
  await writeFile(file, typeof config === "string" ? config : JSON.stringify(config));
  return file;
}

let open: DockerRegistry;
let closed: DockerRegistry;
beforeAll(async () => {
  [open, closed] = await Promise.all([startDockerRegistry(), startDockerRegistry({ auth: true })]);
});
afterAll(async () => {
  await open[Symbol.asyncDispose]();
  await closed[Symbol.asyncDispose]();
});

/** A server that answers as the test wants; each request as `METHOD path authorization`. */
async function fakeServer(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url} ${request.headers.authorization ?? "-"}`);
    answer(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  });
  const { port } = server.address() as AddressInfo;
  return { host: `127.0.0.1:${port}`, port, requests };
}

/** What a registry says of a module; its blob is answered by `blob`. */
function manifestOf(bytes: Uint8Array, sizeBytes = bytes.length) {
  return JSON.stringify({
    schemaVersion: 2,
    layers: [{ mediaType: wasmLayer, digest: digestOf(bytes), size: sizeBytes }],
  });
}

describe("a real registry", () => {
  test.each([
    "application/wasm",
    "application/vnd.wasm.content.layer.v1+wasm",
    "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",
  ])("gives a module of the type %s, by its tag and by what that is pinned to", async (mediaType) => {
    const bytes = guest();
    const repository = `guests/${mediaType.length}`;
    const manifest = await open.push(repository, "v1", [{ mediaType, bytes }]);
    const registry = createOciRegistry({ clock });
    const cache = await emptyCache();
    const resolved = await registry.resolve(`oci://${open.host}/${repository}:v1`);
    expect(resolved).toEqual({
      digest: digestOf(bytes),
      sizeBytes: bytes.length,
      pinned: `${open.host}/${repository}@${manifest}`,
    });
    await registry.pull(resolved.pinned, resolved.digest, cache);
    expect(digestOf(await readFile(cache.fileOf(resolved.digest)))).toBe(resolved.digest);
  });

  test("gives the manifest for wasm behind an index, and says no where an index leaves it open", async () => {
    const bytes = guest(1_000);
    const digest = await open.push("indexed", "one", [{ mediaType: wasmLayer, bytes }]);
    const mediaType = "application/vnd.oci.image.index.v1+json";
    const manifest = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest, size: 1 };
    const wasm = { ...manifest, platform: { architecture: "wasm", os: "wasip2" } };
    const linux = { ...manifest, platform: { architecture: "amd64", os: "linux" } };
    const index = (manifests: unknown[]) => ({ schemaVersion: 2, mediaType, manifests });
    await open.pushManifest("indexed", "many", mediaType, index([linux, wasm]));
    await open.pushManifest("indexed", "none", mediaType, index([linux, linux]));
    const registry = createOciRegistry({ clock });
    expect((await registry.resolve(`${open.host}/indexed:many`)).pinned).toBe(
      `${open.host}/indexed@${digest}`,
    );
    await expect(registry.resolve(`${open.host}/indexed:none`)).rejects.toMatchObject({
      code: "INVALID_MODULE",
    });
  });

  test("what is no module is refused before anything of it is fetched, and the refusal names it", async () => {
    const registry = createOciRegistry({ clock });
    await open.push("image", "v1", [
      { mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", bytes: guest(9) },
    ]);
    await expect(registry.resolve(`${open.host}/image:v1`)).rejects.toMatchObject({
      code: "INVALID_MODULE",
      message: expect.stringContaining("/image:v1"),
      fix: expect.stringContaining("application/wasm"),
    });
    await expect(registry.resolve(`${open.host}/image:v2`)).rejects.toMatchObject({
      code: "MODULE_NOT_FOUND",
      details: { reference: `${open.host}/image:v2`, status: 404 },
    });
  });

  test("lets in who shows credentials, and nobody else; neither they nor their file are in a failure", async () => {
    const bytes = guest(5_000);
    await closed.push("private/guest", "v1", [{ mediaType: wasmLayer, bytes }]);
    const reference = `${closed.host}/private/guest:v1`;
    await expect(createOciRegistry({ clock }).resolve(reference)).rejects.toMatchObject({
      code: "PERMISSION_DENIED",
      retry: "elsewhere",
      fix: expect.stringContaining("--registry-credentials"),
    });
    const { username, password } = registryUser;
    const auth = (text: string) => Buffer.from(text).toString("base64");
    const wrong = await credentialsFile({
      auths: { [closed.host]: { auth: auth(`${username}:wrong-word`) } },
    });
    const refused = await createOciRegistry({ clock, credentialsFile: wrong })
      .resolve(reference)
      .catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "PERMISSION_DENIED" });
    const told = JSON.stringify([refused, (refused as Error).message, (refused as Error).stack]);
    expect(told.includes("wrong-word") || told.includes(auth(`${username}:wrong-word`))).toBe(false);

    const forms = [
      { [closed.host]: { auth: auth(`${username}:${password}`) } },
      { [`http://${closed.host}/v2/`]: registryUser },
    ];
    for (const auths of forms) {
      const registry = createOciRegistry({ clock, credentialsFile: await credentialsFile({ auths }) });
      const cache = await emptyCache();
      const { pinned, digest } = await registry.resolve(reference);
      await registry.pull(pinned, digest, cache);
      expect(cache.has(digest)).toBe(true);
    }
  });
});

test("a file of credentials that is none is refused, and nothing of it is repeated", async () => {
  const file = await credentialsFile('{"auths": {"x": {"auth": "c2VjcmV0"} secret');
  const { host } = await fakeServer((_, response) =>
    response.writeHead(401, { "www-authenticate": "Basic realm=x" }).end(),
  );
  const refused = await createOciRegistry({ clock, credentialsFile: file })
    .resolve(`${host}/a:b`)
    .catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: "INVALID_REQUEST" });
  expect(`${String(refused)} ${JSON.stringify(refused)}`).not.toMatch(/c2VjcmV0|secret/);
});

describe("a registry with tokens", () => {
  const bytes = new Uint8Array(randomBytes(3_000));
  const tokenRegistry = async (passwords: (authorization: string | undefined) => string | undefined) => {
    const tokens = await fakeServer((request, response) => {
      const token = passwords(request.headers.authorization);
      response.writeHead(token === undefined ? 401 : 200).end(JSON.stringify({ token }));
    });
    const registry = await fakeServer((request, response) => {
      if (request.headers.authorization !== "Bearer t0ken")
        return response
          .writeHead(401, {
            "www-authenticate": `Bearer realm="http://${tokens.host}/token?x=1",service="r",scope="repository:a:pull"`,
          })
          .end();
      if (request.url?.startsWith("/v2/a/manifests/")) return response.end(manifestOf(bytes));
      return response.end(bytes);
    });
    return { registry, tokens };
  };

  test("gives modules to the anonymous, where its token service does", async () => {
    const { registry, tokens } = await tokenRegistry(() => "t0ken");
    const cache = await emptyCache();
    const client = createOciRegistry({ clock });
    await client.pull(`${registry.host}/a:b`, digestOf(bytes), cache);
    expect(cache.has(digestOf(bytes))).toBe(true);
    expect(tokens.requests).toEqual(["GET /token?x=1&service=r&scope=repository%3Aa%3Apull -"]);
    // One token serves the manifest and the layer.
    expect(registry.requests.map((one) => one.split(" ").slice(2).join(" "))).toEqual([
      "-",
      "Bearer t0ken",
      "Bearer t0ken",
    ]);
  });

  test("gets the credentials at its token service alone", async () => {
    const basic = `Basic ${Buffer.from("ada:pw").toString("base64")}`;
    const { registry, tokens } = await tokenRegistry((given) => (given === basic ? "t0ken" : undefined));
    const credentials = await credentialsFile({
      auths: { [registry.host]: { username: "ada", password: "pw" } },
    });
    const client = createOciRegistry({ clock, credentialsFile: credentials });
    expect((await client.resolve(`${registry.host}/a:b`)).digest).toBe(digestOf(bytes));
    expect([tokens.requests[0]?.endsWith(basic), registry.requests.join().includes("Basic")]).toEqual([
      true,
      false,
    ]);
  });

  test("and a token that would break out of its header is no token", async () => {
    const { registry } = await tokenRegistry(() => "a\r\nHost: evil");
    await expect(createOciRegistry({ clock }).resolve(`${registry.host}/a:b`)).rejects.toMatchObject({
      code: "COMMUNICATION_FAILURE",
    });
  });
});

describe("on the way", () => {
  test("a redirect to another host is followed without the credentials", async () => {
    const bytes = guest(2_000);
    const storage = await fakeServer((_, response) => response.end(bytes));
    const registry = await fakeServer((request, response) => {
      if (request.headers.authorization === undefined)
        return response.writeHead(401, { "www-authenticate": 'Basic realm="r"' }).end();
      if (request.url?.includes("/manifests/")) return response.end(manifestOf(bytes));
      return response.writeHead(307, { location: `http://${storage.host}/signed?s=1` }).end();
    });
    const credentials = await credentialsFile({ auths: { [registry.host]: registryUser } });
    const cache = await emptyCache();
    await createOciRegistry({ clock, credentialsFile: credentials }).pull(
      `${registry.host}/a:b`,
      digestOf(bytes),
      cache,
    );
    expect([cache.has(digestOf(bytes)), storage.requests]).toEqual([true, ["GET /signed?s=1 -"]]);
  });

  test("a download that breaks off goes on where it ended", async () => {
    const bytes = guest(3_000_000);
    const ranges: (string | undefined)[] = [];
    const registry = await fakeServer((request, response) => {
      if (!request.url?.includes("/blobs/")) return void response.end(manifestOf(bytes));
      const { range } = request.headers;
      ranges.push(range);
      const from = Number(/bytes=(\d+)-/.exec(range ?? "")?.[1] ?? 0);
      response.writeHead(range === undefined ? 200 : 206, { "content-length": bytes.length - from });
      response.write(bytes.subarray(from, from + 1_200_000), () => ranges.length < 3 && response.destroy());
      if (ranges.length === 3) response.end(bytes.subarray(from + 1_200_000));
    });
    const cache = await emptyCache();
    await createOciRegistry({ clock }).pull(`${registry.host}/a:b`, digestOf(bytes), cache);
    expect(digestOf(await readFile(cache.fileOf(digestOf(bytes))))).toBe(digestOf(bytes));
    expect(ranges[0]).toBeUndefined();
    expect(ranges.slice(1).every((range) => Number(/\d+/.exec(range ?? "")?.[0]) >= 1_000_000)).toBe(true);
  });

  test("a registry that gives other bytes, too many, or too few is found out", async () => {
    const bytes = guest(4_000);
    const given = { other: guest(4_000), more: guest(5_000), fewer: bytes.subarray(1) };
    for (const [kind, blob] of Object.entries(given)) {
      const registry = await fakeServer((request, response) =>
        response.end(request.url?.includes("/manifests/") ? manifestOf(bytes) : blob),
      );
      const cache = await emptyCache();
      const pulled = createOciRegistry({ clock }).pull(`${registry.host}/a:b`, digestOf(bytes), cache);
      await expect(pulled, kind).rejects.toMatchObject({ details: { reference: `${registry.host}/a:b` } });
      expect(cache.has(digestOf(bytes))).toBe(false);
      await cache.close();
    }
  });

  test("what is too large is refused by its manifest, and a manifest that is too large by its length", async () => {
    const huge = await fakeServer((_, response) => response.end(manifestOf(guest(5), 200 * 1024 * 1024)));
    await expect(createOciRegistry({ clock }).resolve(`${huge.host}/a:b`)).rejects.toMatchObject({
      code: "INVALID_MODULE",
    });
    const endless = await fakeServer((_, response) => {
      const more = () => response.write(Buffer.alloc(65_536, 32), (error) => error ?? more());
      more();
    });
    await expect(createOciRegistry({ clock }).resolve(`${endless.host}/a:b`)).rejects.toMatchObject({
      code: "COMMUNICATION_FAILURE",
      message: expect.stringContaining(String(registryLimits.manifestBytesMax)),
    });
    expect(huge.requests.some((one) => one.includes("/blobs/"))).toBe(false);
  });

  test("a manifest that is not the one its digest names is refused", async () => {
    const registry = await fakeServer((_, response) => response.end(manifestOf(guest(5))));
    const reference = `${registry.host}/a@${digestOf(guest(1))}`;
    await expect(createOciRegistry({ clock }).resolve(reference)).rejects.toMatchObject({
      code: "COMMUNICATION_FAILURE",
      message: expect.stringContaining("another manifest"),
    });
  });

  test("plain HTTP is spoken to this machine, to hosts that were named, and to no other", async () => {
    const bytes = guest(1_000);
    const registry = await fakeServer((_, response) => response.end(manifestOf(bytes)));
    // The same server under an address that is not plainly this machine's.
    const host = `0.0.0.0:${registry.port}`;
    await expect(createOciRegistry({ clock }).resolve(`${host}/a:b`)).rejects.toMatchObject({
      code: "COMMUNICATION_FAILURE",
      retry: "elsewhere",
    });
    expect(registry.requests).toEqual([]);
    const named = createOciRegistry({ clock, insecureHosts: [host] });
    expect((await named.resolve(`${host}/a:b`)).digest).toBe(digestOf(bytes));
    const elsewhere = await fakeServer((_, response) =>
      response.writeHead(302, { location: "http://registry.example.com/v2/" }).end(),
    );
    await expect(createOciRegistry({ clock }).resolve(`${elsewhere.host}/a:b`)).rejects.toMatchObject({
      code: "COMMUNICATION_FAILURE",
      message: expect.stringContaining("without encryption"),
      fix: expect.stringContaining("--insecure-registry registry.example.com"),
    });
  });
});
