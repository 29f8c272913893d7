import type { Clock } from "../src/clock.ts";
import type { Directory } from "../src/directory/directory.ts";
import { etcdEndpoints } from "../src/directory/endpoints.ts";
import type { Log } from "../src/log.ts";

/** Opens a directory, once there is a log for it. */
export type OpenDirectory = (world: {
  lattice: string;
  clock: Clock;
  log: Log;
}) => Promise<Directory | undefined>;

/** What opens the directory that `--etcd` names, or none without that flag. INVALID_REQUEST where it holds anything but addresses. */
export function directoryOf(etcd: string | undefined): OpenDirectory {
  if (etcd === undefined) return async () => undefined;
  const endpoints = etcdEndpoints(etcd);
  return async (world) => {
    const { createEtcdDirectory } = await import("../src/directory/etcd.ts");
    return createEtcdDirectory({ ...world, endpoints });
  };
}
