import type { GuestHost } from "../../guests/guest.ts";
import { blobstoreInterfaces } from "./blobstore.ts";
import { createCli, type Stdio } from "./cli.ts";
import { clockInterfaces } from "./clocks.ts";
import { type ComponentHost, componentHost } from "./component-host.ts";
import { configInterfaces } from "./config.ts";
import { filesystemInterfaces } from "./filesystem.ts";
import { type FunctionTypes, guestCallInterfaces } from "./guest-calls.ts";
import { createHttpWorld, type HttpWorld } from "./http-world.ts";
import { ioInterfaces } from "./io.ts";
import { keyvalueInterfaces } from "./keyvalue.ts";
import { loggingInterfaces } from "./logging.ts";
import { type BrokerMessage, brokerMessage, messagingInterfaces } from "./messaging.ts";
import { randomInterfaces } from "./random.ts";
import { socketInterfaces } from "./sockets.ts";
import { type Supplied, unsupplied } from "./supplied.ts";

/** All that one life of a component can see of the world. */
export interface ComponentWorld {
  /** To be supplied to the component: by interface without its version, in the names of generated code. */
  readonly imports: Supplied;
  readonly http: HttpWorld;
  /** The standard streams of a `run`. */
  stdio(payload: Uint8Array): Stdio;
  /** The payload of `handle-message` as the export takes it. Throws INVALID_REQUEST. */
  messageOf(payload: Uint8Array): BrokerMessage;
  /** After each call, however it ended: logs the lines that have no end yet. */
  settle(): void;
  /** Gives up all that this life holds of its host: streams, waits, requests. A second time does nothing. */
  dispose(): void;
}

/** What a world needs beside its host. */
export interface WorldOptions {
  /** Ends the guest; must throw. */
  readonly exit: (code: number) => never;
  /** Takes the fuel for bytes that the host makes or copies; throws when it is used up. */
  readonly pay?: (bytes: number) => void;
  /** The interfaces of other components that this one imports. */
  readonly guestInterfaces?: FunctionTypes;
  /** The interfaces of the host that it imports, with their types: drafts of one name differ in them. */
  readonly hostInterfaces?: FunctionTypes;
}

/** Makes the world of one life of a component. */
export function createWorld(host: GuestHost, options: WorldOptions): ComponentWorld {
  const { exit, pay, guestInterfaces = new Map(), hostInterfaces = new Map() } = options;
  const held = componentHost(host, pay);
  const cli = createCli(held, exit);
  const http = createHttpWorld(held);
  return {
    imports: {
      ...suppliedBy(held, hostInterfaces),
      ...cli.imports,
      ...http.imports,
      ...guestCallInterfaces(held, guestInterfaces),
    },
    http,
    stdio: (payload) => cli.stdio(payload),
    messageOf: brokerMessage,
    settle: () => cli.settle(),
    dispose: () => held.dispose(),
  };
}

/**
 * The functions of host interfaces that a component wants and no world has, as `interface#function`; to be refused
 * when it is admitted, for what is missing would else be looked for in what our objects inherit.
 */
export function unsuppliedFunctions(wanted: FunctionTypes): string[] {
  const nobody = { config: {} } as GuestHost;
  const exit = () => {
    throw new Error("nobody exits");
  };
  return unsupplied(createWorld(nobody, { exit }).imports, wanted);
}

function suppliedBy(host: ComponentHost, hostInterfaces: FunctionTypes): Supplied {
  return {
    ...ioInterfaces(host),
    ...clockInterfaces(host),
    ...randomInterfaces(host),
    ...filesystemInterfaces(),
    ...socketInterfaces(),
    ...configInterfaces(host),
    ...loggingInterfaces(host),
    ...keyvalueInterfaces(host, hostInterfaces),
    ...messagingInterfaces(host),
    ...blobstoreInterfaces(host),
  };
}
