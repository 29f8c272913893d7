import { readFile, stat } from "node:fs/promises";
import { z } from "zod";
import { registryLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";

/** What a node shows a registry, as it stands after the scheme's name. */
export interface Credentials {
  readonly scheme: "Basic" | "Bearer";
  /** For Basic the base64 of `user:password`, for Bearer a token. */
  readonly value: string;
}

const Entry = z.looseObject({
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  registrytoken: z.string().optional(),
});
const Config = z.looseObject({ auths: z.record(z.string(), Entry).default({}) });

/**
 * Reads the credentials of each registry from a file in the form of docker's `config.json`: entries of `auths` with
 * `auth`, `username` and `password`, or `registrytoken`. Credential helpers are not run. INVALID_REQUEST never repeats
 * anything of the file.
 */
export async function readCredentials(file: string): Promise<ReadonlyMap<string, Credentials>> {
  let config;
  try {
    if ((await stat(file)).size > registryLimits.credentialsBytesMax) throw new Error("it is too large");
    config = Config.parse(JSON.parse(await readFile(file, "utf8")));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Failure(
      "INVALID_REQUEST",
      `the credentials of registries cannot be read from ${file}${code === undefined ? "" : `: ${code}`}`,
      { fix: 'Give a file like docker\'s config.json: {"auths":{"registry.example.com":{"auth":"…"}}}' },
    );
  }
  const found = new Map<string, Credentials>();
  for (const [key, entry] of Object.entries(config.auths)) {
    const registry = registryOf(key);
    const credentials = credentialsOf(entry);
    if (registry !== undefined && credentials !== undefined) found.set(registry, credentials);
  }
  return found;
}

/** Docker writes hosts, and for its own registry the URL of an API that is long gone. */
function registryOf(key: string): string | undefined {
  const [, host] = /^(?:https?:\/\/)?([^/]+)(?:\/(?:v[12]\/?)?)?$/.exec(key) ?? [];
  return host === "index.docker.io" ? "docker.io" : host;
}

function credentialsOf({ auth, username, password, registrytoken }: z.infer<typeof Entry>) {
  if (registrytoken !== undefined) return { scheme: "Bearer", value: registrytoken } as const;
  if (auth !== undefined && auth !== "") return { scheme: "Basic", value: auth } as const;
  if (username === undefined || password === undefined) return undefined;
  return { scheme: "Basic", value: Buffer.from(`${username}:${password}`).toString("base64") } as const;
}
