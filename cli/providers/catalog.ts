import type { CreateCapability, ProviderBackend, ProviderKind } from "../../actors/provider/provider-kind.ts";
import type { ProviderCatalog } from "../../actors/provider/provider-kind.ts";
import { createProviderCatalog, modulePrefix } from "../../actors/provider/provider-catalog.ts";
import { busOn } from "../../src/bus/nats-bus.ts";
import { connectClient, inboxPrefixFor, type NatsOptions } from "../../src/bus/nats-client.ts";
import type { Capability } from "../../src/capabilities/capability.ts";
import type { Clock } from "../../src/clock.ts";
import type { Credentials } from "../../src/protocol/credentials.ts";
import { checkHttpServer, listenOf, routesOf } from "./http-server-config.ts";
import { hostedAs } from "./hosted-as.ts";
import { kindInDirectory, loadKind } from "./load-kind.ts";
import { checkJetStream, type JetStreamSettings, jetStreamSettings, redisUrl } from "./store-config.ts";

/** What the providers of a process are made with. */
export interface CatalogOptions {
  /** For what is outside the lattice's own subjects: JetStream, topics of applications. */
  readonly nats: NatsOptions;
  /** Of whoever hosts them; without any, everything may be hosted. */
  readonly credentials?: Credentials | undefined;
  readonly clock: Clock;
  /** Files below it can be asked for over the bus, as `module:<file>`. */
  readonly moduleDirectory?: string | undefined;
  /** Files that may be loaded wherever they are: those that this process was told to run. */
  readonly moduleFiles?: readonly string[];
}

/**
 * Every kind of provider that the product has, and the one place that knows what they are made of. Nothing of a
 * backend is loaded before it is created.
 */
export function createCatalog(options: CatalogOptions): ProviderCatalog {
  const { nats, clock, credentials, moduleDirectory, moduleFiles = [] } = options;
  const own = kinds(nats, clock, credentials !== undefined);
  if (moduleDirectory === undefined && moduleFiles.length === 0)
    return hostedAs(credentials, createProviderCatalog(own));
  const catalog = createProviderCatalog(own, {
    kinds: [
      ...moduleFiles.map((file) => `${modulePrefix}${file}`),
      ...(moduleDirectory === undefined ? [] : [`${modulePrefix}*`]),
    ],
    // Whoever may send commands could otherwise have any file of this machine run.
    load: (path) => (moduleFiles.includes(path) ? loadKind(path) : kindInDirectory(moduleDirectory, path)),
  });
  return hostedAs(credentials, catalog);
}

function kinds(nats: NatsOptions, clock: Clock, hasRoles: boolean): ProviderKind[] {
  const memory = (create: CreateCapability): ProviderBackend => ({
    describe: "in the memory of its process, gone when that ends",
    configKeys: [],
    create,
  });
  const jetStream = (create: (options: JetStreamOptions) => Promise<Capability>): ProviderBackend => ({
    describe: "in NATS JetStream: lasts, and all processes share it",
    configKeys: ["storage", "replicas"],
    checkConfig: checkJetStream,
    create: (world, config) =>
      withConnection({ ...nats, name: `provider ${world.provider}` }, clock, (connection) =>
        create({ connection, clock, ...jetStreamSettings(config) }),
      ),
  });
  return [
    kind("kv", "key-value", {
      memory: memory(async () => (await import("../../src/capabilities/kv/memory.ts")).createMemoryKv()),
      nats: jetStream(async (options) =>
        (await import("../../src/capabilities/kv/nats.ts")).createNatsKv(options),
      ),
      redis: {
        describe: "in Redis or Valkey: lasts as that does, and all processes share it",
        configKeys: ["url"],
        checkConfig: (config) => void redisUrl(config),
        async create(_world, config) {
          const { createRedisKv } = await import("../../src/capabilities/kv/redis.ts");
          return createRedisKv({ url: redisUrl(config), clock });
        },
      },
    }),
    kind("http", "HTTP requests to the outside", {
      undici: {
        describe: "with pooled connections of this process",
        configKeys: [],
        async create() {
          const { createHttpClient } = await import("../../src/capabilities/http/http-client.ts");
          return createHttpClient({ clock });
        },
      },
    }),
    kind("http-server", "HTTP from outside, as calls of guests", { node: httpServer }),
    kind("messaging", "messages on NATS subjects", {
      nats: {
        describe: "on the bus of the lattice, or from its JetStream streams",
        configKeys: [],
        create: (world) =>
          withConnection({ ...nats, name: `provider ${world.provider}` }, clock, async (connection) => {
            const { createNatsMessaging } =
              await import("../../src/capabilities/messaging/nats-messaging.ts");
            const { bus, lattice, log, dropped, busRefused } = world;
            // The connection of the lattice may not touch topics, nor this one the lattice.
            const topicBus = hasRoles
              ? busOn(connection, inboxPrefixFor(nats), clock, (status) => {
                  if (status.type === "refused") busRefused(status.operation, status.subject);
                })
              : bus;
            return createNatsMessaging({
              bus,
              lattice,
              clock,
              log,
              connection,
              topicBus,
              onDropped: ({ instanceId }, topic, count) => dropped(instanceId, topic, count),
            });
          }),
      },
    }),
    kind("blobstore", "objects in containers", {
      memory: memory(async () =>
        (await import("../../src/capabilities/blobstore/memory.ts")).createMemoryBlobstore({ clock }),
      ),
      nats: jetStream(async (options) =>
        (await import("../../src/capabilities/blobstore/nats.ts")).createNatsBlobstore(options),
      ),
    }),
  ];
}

function kind(name: string, describe: string, backends: Record<string, ProviderBackend>): ProviderKind {
  return { kind: name, providerType: name, describe, backends: new Map(Object.entries(backends)) };
}

const httpServer: ProviderBackend = {
  describe: "a server of this process",
  configKeys: ["listen", "route", "route.*", "health-path", "trust-proxy"],
  checkConfig: checkHttpServer,
  async create({ lattice, bus, clock, log, streams, announce }, config) {
    const { createHttpServer } = await import("../../src/capabilities/http-server/http-server.ts");
    const healthPath = config["health-path"];
    const server = await createHttpServer({
      lattice,
      bus,
      clock,
      log,
      streams,
      ...listenOf(config),
      routes: routesOf(config),
      ...(healthPath === undefined ? {} : { healthPath }),
      trustProxy: config["trust-proxy"] === "true",
      reusePort: process.platform === "linux",
    });
    const { host, port } = server.address;
    announce(`http://${host.includes(":") ? `[${host}]` : host}:${port}`);
    return server;
  },
};

type Connection = Awaited<ReturnType<typeof connectClient>>;
type JetStreamOptions = { connection: Connection; clock: Clock } & JetStreamSettings;

/** A capability with a connection of its own, which is closed after it. */
async function withConnection(
  nats: NatsOptions,
  clock: Clock,
  create: (connection: Connection) => Promise<Capability>,
): Promise<Capability> {
  const connection = await connectClient(nats, clock);
  try {
    const capability = await create(connection);
    return {
      providerType: capability.providerType,
      call: (...call) => capability.call(...call),
      ...(capability.check === undefined ? {} : { check: () => (capability.check as () => Promise<void>)() }),
      ...(capability.granted === undefined
        ? {}
        : { granted: (holders) => (capability.granted as NonNullable<Capability["granted"]>)(holders) }),
      async close() {
        await capability.close();
        await connection.close();
      },
    };
  } catch (error) {
    await connection.close();
    throw error;
  }
}
