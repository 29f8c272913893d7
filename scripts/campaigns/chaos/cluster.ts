import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLatticeRoles } from "../../../test/support/lattice-roles.ts";
import { program } from "../../../test/support/program.ts";
import { createHosts, type Hosts } from "./hosts.ts";
import { chaosLimits } from "./limits.ts";
import { createPart, type Part, type PartKind } from "./part.ts";

/** A lattice of real processes on hosts of their own, around a cluster of nats-servers. */
export interface Cluster extends AsyncDisposable {
  readonly lattice: string;
  readonly hosts: Hosts;
  readonly parts: ReadonlyMap<string, Part>;
  /** All of the servers, for whoever reconnects among them. */
  readonly url: string;
  /** What the campaign signs in with; undefined where anybody may do everything. */
  readonly creds: { readonly operator: string; readonly observer: string } | undefined;
  /** Of one server each. */
  readonly servers: readonly { readonly id: string; readonly url: string; readonly monitorUrl: string }[];
  of(kind: PartKind): Part[];
}

const ports = { clients: 4222, routes: 6222, monitor: 8222 } as const;

/**
 * Starts three servers, two control planes, so many nodes and two kv providers, and resolves once all are ready. Each signs in
 * as itself, and commands are signed, unless it is `isOpen`.
 */
export async function startCluster(options: { nodes: number; isOpen?: boolean }): Promise<Cluster> {
  const ids: Record<PartKind, string[]> = {
    server: numbered("server", 3),
    plane: numbered("plane", 2),
    node: numbered("node", options.nodes),
    provider: numbered("provider", 2),
  };
  const stack = new AsyncDisposableStack();
  try {
    const directory = mkdtempSync(join(tmpdir(), "wasmatrix-chaos-"));
    stack.defer(() => rmSync(directory, { recursive: true, force: true }));
    const hosts = stack.use(await createHosts(Object.values(ids).flat()));
    const lattice = "chaos";
    const roles = options.isOpen === true ? undefined : stack.use(createLatticeRoles(lattice));
    const creds = roles && {
      operator: roles.creds("operator", "operator"),
      observer: roles.creds("observer", "observer"),
    };
    const signIn = (role: "control-plane" | "node" | "provider", id: string) =>
      roles === undefined
        ? []
        : ["--creds", roles.creds(role, id, role === "provider" ? { hosts: ["kv"] } : {})];
    const addressOf = (id: string) => hosts.all.get(id)?.address ?? "";
    const servers = ids.server.map((id) => ({
      id,
      url: `nats://${addressOf(id)}:${ports.clients}`,
      monitorUrl: `http://${addressOf(id)}:${ports.monitor}`,
    }));
    const url = servers.map((server) => server.url).join(",");
    const password = randomBytes(12).toString("hex");
    const parts = new Map<string, Part>();
    const add = (kind: PartKind, id: string, command: readonly string[], readyLine?: RegExp) => {
      const host = hosts.all.get(id);
      if (host === undefined) throw new Error(`there is no host ${id}`);
      const logFile = join(directory, `${id}.log`);
      writeFileSync(logFile, "");
      const ready = readyLine === undefined ? {} : { readyLine };
      const { readyMs } = chaosLimits;
      const part = createPart({ id, kind, host, command, logFile, readyMs, ...ready });
      parts.set(id, part);
      stack.defer(() => part.kill());
    };
    const configs = new Map<string, string>();
    for (const id of ids.server) {
      const config = join(directory, `${id}.conf`);
      const routes = ids.server.map(
        (other) => `nats-route://chaos:${password}@${addressOf(other)}:${ports.routes}`,
      );
      configs.set(config, serverConfig(id, addressOf(id), password, routes));
      add("server", id, ["nats-server", "-c", config], /Server is ready/);
    }
    const part = [program, "--nats", url, "--lattice", lattice];
    const alone = (id: string) => ["--id", id, "--end-with-stdin"];
    for (const id of ids.plane)
      add("plane", id, [...part, "control-plane", ...signIn("control-plane", id), ...alone(id)]);
    for (const id of ids.node) {
      const modules = join(directory, `modules-${id}`);
      mkdirSync(modules);
      add("node", id, [
        ...part,
        "node",
        "--cells",
        "1",
        "--modules",
        modules,
        ...signIn("node", id),
        ...alone(id),
      ]);
    }
    for (const id of ids.provider)
      add("provider", id, [...part, "provider", "kv", ...signIn("provider", id), ...alone(id)]);
    // By now everybody is known.
    const accounts = roles?.config() ?? "";
    for (const [config, text] of configs) writeFileSync(config, text + accounts);
    const of = (kind: PartKind) => [...parts.values()].filter((part) => part.kind === kind);
    await Promise.all(of("server").map((part) => part.start()));
    await Promise.all(
      [...parts.values()].filter(({ kind }) => kind !== "server").map((part) => part.start()),
    );
    const owned = stack.move();
    return {
      lattice,
      hosts,
      parts,
      url,
      creds,
      servers,
      of,
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** Pings find a dead route within some seconds; with the defaults a cut one stays in use for minutes. */
function serverConfig(id: string, address: string, password: string, routes: readonly string[]): string {
  return `server_name: ${id}
listen: "${address}:${ports.clients}"
http: "${address}:${ports.monitor}"
ping_interval: "1s"
ping_max: 2
write_deadline: "2s"
cluster {
  name: chaos
  listen: "${address}:${ports.routes}"
  authorization { user: chaos, password: "${password}", timeout: 2 }
  routes: [${routes.map((route) => `"${route}"`).join(", ")}]
}
`;
}

function numbered(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${name}-${index + 1}`);
}
