import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { Directory, DirectoryChange } from "./directory.ts";
import { createEtcdGateway } from "./etcd-gateway.ts";
import { nodeKey, nodesPrefix, providerKey } from "./keys.ts";
import { createLeasedKeys } from "./leased-keys.ts";
import { createOutage } from "./outage.ts";
import { watchNodes } from "./watched-nodes.ts";

/**
 * A directory in etcd ≥ 3.4, by way of its JSON gateway (https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/). Nothing is
 * connected before it is used. Records are under a lease: those of a process that died are gone after
 * `directoryLimits.leaseTtlS`. While etcd is away one warning is logged, and what there is to write is written afterwards.
 *
 * @param endpoints the members of one cluster, as `etcdEndpoints` gives them.
 */
export function createEtcdDirectory(options: {
  lattice: string;
  endpoints: readonly string[];
  clock: Clock;
  log: Log;
}): Directory {
  const { lattice, endpoints, clock, log } = options;
  const gateway = createEtcdGateway({ endpoints, clock });
  const outage = createOutage(log, endpoints);
  const keys = createLeasedKeys({ gateway, clock, outage });
  const watches = new Set<Promise<void>>();
  const over = new AbortController();

  return {
    // Each field by name: nothing else may get into etcd, whatever the caller's object holds.
    putNode({ nodeId, epoch, hostname, labels, productVersion }) {
      keys.put(nodeKey(lattice, nodeId), JSON.stringify({ nodeId, epoch, hostname, labels, productVersion }));
    },
    putProvider({ provider, nodeId, providerType, backend, version }) {
      keys.put(providerKey(lattice, provider, nodeId), JSON.stringify({ providerType, backend, version }));
    },
    removeProvider(provider, nodeId) {
      keys.remove(providerKey(lattice, provider, nodeId));
    },
    onChange(listener: (change: DirectoryChange) => void) {
      const end = new AbortController();
      const signal = AbortSignal.any([over.signal, end.signal]);
      const watch = watchNodes({
        gateway,
        clock,
        outage,
        prefix: nodesPrefix(lattice),
        onChange: (change) => void (signal.aborted || listener(change)),
        signal,
      }).finally(() => watches.delete(watch));
      watches.add(watch);
      return () => end.abort();
    },
    async close() {
      over.abort();
      await Promise.all([keys.close(), ...watches]);
    },
  };
}
