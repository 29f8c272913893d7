import type { ProviderCatalog } from "../../actors/provider/provider-kind.ts";
import { modulePrefix } from "../../actors/provider/provider-catalog.ts";
import type { Credentials } from "../../src/protocol/credentials.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { hostingOf } from "../../src/protocol/roles.ts";

/**
 * A catalogue of what an identity may host, for the bus would not let it hear calls of anything else: what it may not
 * is refused with PERMISSION_DENIED before anything is done. Without credentials everything may be.
 */
export function hostedAs(credentials: Credentials | undefined, catalog: ProviderCatalog): ProviderCatalog {
  if (credentials === undefined) return catalog;
  const hostings = (credentials.hosts ?? []).map(hostingOf);
  const isAny = hostings.some(({ name }) => name === "*");
  const isKindHosted = (kind: string) =>
    isAny || hostings.some((one) => one.kind === kind || kind.startsWith(modulePrefix));
  return {
    kinds: catalog.kinds.filter(({ kind }) => isKindHosted(kind)),
    async resolve(order) {
      const hosted = await catalog.resolve(order);
      const { provider, kind } = hosted;
      const isHosted =
        isAny ||
        hostings.some((one) => one.name === provider && (one.kind === kind || kind.startsWith(modulePrefix)));
      if (isHosted) return hosted;
      throw mayNotHost(credentials, provider, kind);
    },
  };
}

function mayNotHost({ role, id, hosts = [] }: Credentials, provider: string, kind: string): Failure {
  const wanted = provider === kind || kind.startsWith(modulePrefix) ? provider : `${provider}=${kind}`;
  return new Failure(
    "PERMISSION_DENIED",
    `the credentials of the ${role} ${id} do not let it run the provider ${provider}`,
    {
      fix: `Allow it, and give it the new file: wasmatrix auth allow ${role} ${id} --hosts ${[...hosts, wanted].join(",")}`,
      details: { hosts },
      // Others may be allowed to.
      retry: "elsewhere",
    },
  );
}
