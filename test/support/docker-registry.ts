import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Who may pull from a registry with `auth`. */
export const registryUser = { username: "ada", password: "open-sesame" };

/** bcrypt of that password, the only form that the registry takes. */
const htpasswd = "ada:$2y$05$abcdefghijklmnopqrstuutXu9KzOt.1yBoZUeFWoT/914/JfszCO\n";

/** A layer to be pushed. */
export interface PushedLayer {
  readonly mediaType: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly annotations?: Record<string, string>;
}

/** A real registry (CNCF distribution, Debian's `docker-registry`) on the loopback address. */
export interface DockerRegistry extends AsyncDisposable {
  /** `host:port`, as it stands in a reference. */
  readonly host: string;
  /** Pushes an artifact of these layers; gives the digest of its manifest. */
  push(repository: string, tag: string, layers: readonly PushedLayer[]): Promise<string>;
  /** Pushes any manifest. */
  pushManifest(repository: string, tag: string, mediaType: string, manifest: unknown): Promise<string>;
}

/** Starts a registry with an empty store; with `auth`, only `registryUser` is let in. */
export async function startDockerRegistry({ auth = false } = {}): Promise<DockerRegistry> {
  const directory = mkdtempSync(join(tmpdir(), "docker-registry-"));
  const passwords = join(directory, "htpasswd");
  writeFileSync(passwords, htpasswd);
  const config = {
    version: "0.1",
    log: { level: "info" },
    storage: { filesystem: { rootdirectory: join(directory, "store") } },
    http: { addr: "127.0.0.1:0" },
    ...(auth ? { auth: { htpasswd: { realm: "tests", path: passwords } } } : {}),
  };
  // Its YAML takes JSON.
  const file = join(directory, "config.yml");
  writeFileSync(file, JSON.stringify(config));
  const child = spawn("docker-registry", ["serve", file], { stdio: ["ignore", "ignore", "pipe"] });
  process.once("exit", () => child.kill("SIGKILL"));
  const host = await new Promise<string>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", () => reject(new Error("docker-registry ended")));
    createInterface({ input: child.stderr }).on("line", (line) => {
      const [, address] = /listening on (127\.0\.0\.1:\d+)/.exec(line) ?? [];
      if (address !== undefined) resolve(address);
    });
  });
  const { username, password } = registryUser;
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
  const send = async (method: string, url: URL | string, type = "", body?: Uint8Array<ArrayBuffer>) => {
    const response = await fetch(url, {
      method,
      headers: { authorization, ...(type === "" ? {} : { "content-type": type }) },
      ...(body === undefined ? {} : { body }),
    });
    if (!response.ok)
      throw new Error(`${method} ${String(url)}: ${response.status} ${await response.text()}`);
    return response;
  };
  const pushBlob = async (repository: string, bytes: Uint8Array<ArrayBuffer>) => {
    const digest = sha256(bytes);
    const begun = await send("POST", `http://${host}/v2/${repository}/blobs/uploads/`);
    const url = new URL(begun.headers.get("location") ?? "", `http://${host}`);
    url.searchParams.set("digest", digest);
    await send("PUT", url, "application/octet-stream", bytes);
    return { digest, size: bytes.length };
  };
  const pushManifest: DockerRegistry["pushManifest"] = async (repository, tag, mediaType, manifest) => {
    const bytes = new TextEncoder().encode(JSON.stringify(manifest));
    await send("PUT", `http://${host}/v2/${repository}/manifests/${tag}`, mediaType, bytes);
    return sha256(bytes);
  };

  return {
    host,
    pushManifest,
    async push(repository, tag, layers) {
      const config = await pushBlob(repository, new TextEncoder().encode("{}"));
      const pushed = [];
      for (const { bytes, ...layer } of layers)
        pushed.push({ ...layer, ...(await pushBlob(repository, bytes)) });
      const mediaType = "application/vnd.oci.image.manifest.v1+json";
      return pushManifest(repository, tag, mediaType, {
        schemaVersion: 2,
        mediaType,
        config: { mediaType: "application/vnd.wasm.config.v0+json", ...config },
        layers: pushed,
      });
    },
    async [Symbol.asyncDispose]() {
      child.removeAllListeners("exit");
      if (child.exitCode === null && child.signalCode === null) {
        const gone = once(child, "exit");
        child.kill("SIGKILL");
        await gone;
      }
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
