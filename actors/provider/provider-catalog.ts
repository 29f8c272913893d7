import { Failure } from "../../src/protocol/errors.ts";
import { assertId, echo, isId } from "../../src/protocol/ids.ts";
import { isBuiltIn } from "../../src/protocol/permissions.ts";
import type { ProviderBackend, ProviderCatalog, ProviderConfig, ProviderKind } from "./provider-kind.ts";

/** What the name of a kind begins with that is a file: `module:clock.ts`. */
export const modulePrefix = "module:";

/** Kinds that are files. */
export interface ModuleKinds {
  /** How they are told of: `module:*` stands for any. */
  readonly kinds: readonly string[];
  /** Finds the kind in a file; rejects with INVALID_REQUEST for one that may not or cannot be loaded. */
  load(path: string): Promise<ProviderKind>;
}

/** A catalogue of those kinds, and of files where `modules` are given. */
export function createProviderCatalog(
  kinds: readonly ProviderKind[],
  modules?: ModuleKinds,
): ProviderCatalog {
  const known = new Map(kinds.map((kind) => [kind.kind, kind]));

  function find(name: string): ProviderKind | Promise<ProviderKind> {
    if (modules !== undefined && name.startsWith(modulePrefix))
      return modules.load(name.slice(modulePrefix.length));
    const kind = known.get(name);
    if (kind !== undefined) return kind;
    const others = [...kinds.map(named), ...(modules?.kinds ?? [])];
    throw wrong(
      "kind",
      `there is no kind of provider ${echo(name)} here`,
      `There are: ${others.join(", ")}.`,
    );
  }

  return {
    kinds: [
      ...kinds.map(({ kind, backends }) => ({ kind, backends: [...backends.keys()] })),
      ...(modules?.kinds ?? []).map((kind) => ({ kind, backends: [] })),
    ],
    async resolve({ provider: name, kind: kindName, backend: wanted, config }) {
      if (name !== undefined) assertId(name, "provider");
      const kind = await find(kindName);
      const { providerType } = kind;
      const provider = name ?? providerType;
      if (!isId(providerType))
        throw wrong(
          "kind",
          `the type of provider ${echo(providerType)} is not a legal id`,
          "Use letters, digits and `-`.",
        );
      // A grant that names no provider means the one that is called like its type.
      if (isBuiltIn(provider) && provider !== providerType)
        throw wrong(
          "provider",
          `${provider} is the name of the default provider of that type`,
          "Choose another name.",
        );
      const [backendName, backend] = findBackend(kind, wanted);
      checkConfig(kind, backendName, backend, config);
      const { create } = backend;
      return { provider, kind: kindName, providerType, backend: backendName, config, create };
    },
  };
}

function findBackend(kind: ProviderKind, wanted: string | undefined): [string, ProviderBackend] {
  const [first] = kind.backends;
  if (wanted === undefined && first !== undefined) return first;
  const backend = wanted === undefined ? undefined : kind.backends.get(wanted);
  if (backend !== undefined && wanted !== undefined) return [wanted, backend];
  const others = [...kind.backends].map(([name, { describe }]) => named({ kind: name, describe })).join(", ");
  throw wrong("backend", `${kind.kind} has no backend ${echo(wanted)}`, `There are: ${others}.`);
}

function named({ kind, describe }: { kind: string; describe: string }): string {
  return describe === "" ? kind : `${kind} (${describe})`;
}

function checkConfig(
  kind: ProviderKind,
  name: string,
  backend: ProviderBackend,
  config: ProviderConfig,
): void {
  const { configKeys } = backend;
  const isKnown = (key: string) =>
    configKeys === undefined ||
    configKeys.some((one) => (one.endsWith("*") ? key.startsWith(one.slice(0, -1)) : key === one));
  const unknown = Object.keys(config).find((key) => !isKnown(key));
  if (unknown !== undefined) {
    const keys = configKeys?.join(", ") ?? "";
    const fix = keys === "" ? "It takes none." : `There are: ${keys}.`;
    throw wrong(`config`, `${kind.kind} with the backend ${name} has no setting ${echo(unknown)}`, fix);
  }
  backend.checkConfig?.(config);
}

function wrong(field: string, message: string, fix: string): Failure {
  return new Failure("INVALID_REQUEST", message, { fix, details: { fields: [field] } });
}
