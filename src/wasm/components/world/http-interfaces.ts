import type { HostInterface } from "./interfaces.ts";

/** The rows of `hostInterfaces` for wasi:http, none of whose functions waits: waiting is wasi:io's. */
export const httpInterfaces: readonly (readonly [string, HostInterface])[] = [
  ["wasi:http/types", { suspending: [] }],
  [
    "wasi:http/outgoing-handler",
    { suspending: [], providerType: "http", permissions: { handle: "http:request" } },
  ],
];
