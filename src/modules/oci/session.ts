import type { Clock } from "../../clock.ts";
import { registryLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";
import type { OciReference } from "../../protocol/oci-reference.ts";
import { type Credentials, readCredentials } from "./credentials.ts";
import { get, type HttpAnswer, speaksTls } from "./http.ts";

/** How a node speaks to registries. */
export interface RegistryOptions {
  readonly clock: Clock;
  /** A file in the form of docker's `config.json`; read whenever a registry asks who is there, so it may be changed. */
  readonly credentialsFile?: string | undefined;
  /** Hosts, with their ports, that may be spoken to in plain HTTP; this machine may be anyway. */
  readonly insecureHosts?: readonly string[] | undefined;
}

/** One repository of a registry, for as long as it takes to fetch one module. */
export interface RegistrySession {
  /** Gets what is below `/v2/<repository>/`, authorized as the registry asks for it. */
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<HttpAnswer>;
}

/** Opens a session. Source: OCI distribution specification 1.1; docker's token authentication. */
export async function openSession(
  { registry, repository }: OciReference,
  { clock, credentialsFile, insecureHosts = [] }: RegistryOptions,
): Promise<RegistrySession> {
  // Docker's own registry answers under another name than the one that references have.
  const host = registry === "docker.io" ? "registry-1.docker.io" : registry;
  const isHere = isLoopback(`http://${host}`);
  // A registry elsewhere has no business with what runs beside the node.
  const insecure = new Set(insecureHosts.map((one) => URL.parse(`http://${one}`)?.host));
  const mayBePlain = (url: URL) => insecure.has(url.host) || (isHere && isLoopback(url.href));
  const options = { clock, mayBePlain };
  const isPlain = mayBePlain(new URL(`http://${host}`)) && !(await speaksTls(host, clock));
  const base = `${isPlain ? "http" : "https"}://${host}/v2/${repository}/`;
  let authorization: { authorization: string } | undefined;

  async function authorize(challenge: string): Promise<void> {
    const credentials =
      credentialsFile === undefined ? undefined : (await readCredentials(credentialsFile)).get(registry);
    const asked = parseChallenge(challenge);
    if (asked?.scheme === "basic" || credentials?.scheme === "Bearer") {
      if (credentials !== undefined) authorization = headerOf(credentials);
      return;
    }
    const realm = URL.parse(asked?.parameters.get("realm") ?? "");
    if (realm === null) return;
    const service = asked?.parameters.get("service");
    if (service !== undefined) realm.searchParams.set("service", service);
    realm.searchParams.set("scope", asked?.parameters.get("scope") ?? `repository:${repository}:pull`);
    const answer = await get(realm, credentials === undefined ? {} : headerOf(credentials), options);
    if (answer.status !== 200) return answer.discard();
    const token = tokenOf(await answer.bytes(registryLimits.tokenBytesMax));
    if (token === undefined)
      throw new Failure("COMMUNICATION_FAILURE", `${realm.host} gave no token for ${registry}`);
    authorization = { authorization: `Bearer ${token}` };
  }

  return {
    async get(path, headers = {}) {
      const url = new URL(path, base);
      const answer = await get(url, { ...headers, ...authorization }, options);
      const challenge = answer.header("www-authenticate");
      if (answer.status !== 401 || challenge === undefined) return answer;
      await authorize(challenge);
      if (authorization === undefined) return answer;
      answer.discard();
      return get(url, { ...headers, ...authorization }, options);
    },
  };
}

function headerOf({ scheme, value }: Credentials): { authorization: string } {
  return { authorization: `${scheme} ${value}` };
}

function parseChallenge(challenge: string) {
  // A header of a server is at most 16 KiB long in Node, so these patterns see little.
  const [, scheme] = /(?:^|,\s*)(bearer|basic)(?=\s|$)/i.exec(challenge) ?? [];
  if (scheme === undefined) return undefined;
  const parameters = new Map(
    [...challenge.matchAll(/([A-Za-z]+)="([^"]*)"/g)].map(([, name = "", value = ""]) => [
      name.toLowerCase(),
      value,
    ]),
  );
  return { scheme: scheme.toLowerCase(), parameters };
}

function tokenOf(bytes: Uint8Array): string | undefined {
  try {
    const { token, access_token: other } = JSON.parse(new TextDecoder().decode(bytes));
    const found: unknown = token ?? other;
    // Anything else would break out of the header.
    return typeof found === "string" && /^[\x21-\x7e]+$/.test(found) ? found : undefined;
  } catch {
    return undefined;
  }
}

function isLoopback(url: string): boolean {
  const { hostname } = new URL(url);
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}
