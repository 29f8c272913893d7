import { extname, resolve } from "node:path";
import type { ProviderOrder } from "../../actors/provider/provider-kind.ts";
import { Failure } from "../../src/protocol/errors.ts";

/** What the flags of a provider say. */
export interface ProviderFlags {
  readonly name?: string;
  readonly backend?: Readonly<Record<string, string>>;
  readonly config?: Readonly<Record<string, string>>;
  readonly configEnv?: Readonly<Record<string, string>>;
  readonly listen?: string;
}

/** `kv`, a file such as `./clock.ts`, or `module:clock.ts` of a folder that a node has; files by their full path. */
export function kindOf(word: string): string {
  const isFile = !word.startsWith("module:") && (word.includes("/") || /^\.[cm]?[jt]s$/.test(extname(word)));
  return isFile ? `module:${resolve(word)}` : word;
}

/**
 * The providers of one process. Flags are for the one there is, or begin with the kind that they are for:
 * `--config http-server.listen=127.0.0.1:80`. INVALID_REQUEST for a flag that is for none of them.
 */
export function providerOrders(words: readonly string[], flags: ProviderFlags): ProviderOrder[] {
  const { name, listen } = flags;
  const [only, ...others] = words;
  const isOne = others.length === 0;
  if (name !== undefined && !isOne)
    throw wrong(
      "--name is for one provider",
      "Run the others in a process of their own, or leave the name out.",
    );
  if (new Set(words).size < words.length)
    throw wrong("a kind is named twice", "Run the second one in a process of its own.");
  const backends = new Map<string, string>();
  for (const [kind, backend] of Object.entries(flags.backend ?? {})) {
    // Without a kind it stands as a key with an empty value.
    const whose = backend === "" ? only : kind;
    if (whose === undefined || (backend === "" && !isOne) || !words.includes(whose))
      throw wrong(`--backend ${kind} is for none of them`, "Write it like kv=nats.");
    backends.set(whose, backend === "" ? kind : backend);
  }
  const configs = new Map(words.map((word) => [word, new Map<string, string>()]));
  for (const [key, value] of Object.entries({ ...flags.config, ...flags.configEnv })) {
    const prefixed = words.find((word) => key.startsWith(`${word}.`));
    const whose = prefixed ?? (isOne ? only : undefined);
    if (whose === undefined)
      throw wrong(`--config ${key} is for none of them`, "Write it like kv.storage=memory.");
    configs.get(whose)?.set(prefixed === undefined ? key : key.slice(prefixed.length + 1), value);
  }
  if (listen !== undefined) configs.get(isOne ? (only ?? "") : "http-server")?.set("listen", listen);
  return words.map((word) => ({
    kind: kindOf(word),
    ...(name === undefined ? {} : { provider: name }),
    ...(backends.has(word) ? { backend: backends.get(word) } : {}),
    config: Object.fromEntries(configs.get(word) ?? []),
  }));
}

function wrong(message: string, fix: string): Failure {
  return new Failure("INVALID_REQUEST", message, { fix });
}
