import type { ProviderConfig } from "../../actors/provider/provider-kind.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { echo } from "../../src/protocol/ids.ts";

/** How JetStream keeps what is stored. */
export interface JetStreamSettings {
  readonly storage?: "file" | "memory";
  readonly replicas?: number;
}

/** Reads `storage` and `replicas`; INVALID_REQUEST for values that JetStream does not have. */
export function jetStreamSettings({ storage, replicas }: ProviderConfig): JetStreamSettings {
  if (storage !== undefined && storage !== "file" && storage !== "memory")
    throw wrong("storage", `${echo(storage)} is no storage`, "There are: file, memory.");
  if (replicas !== undefined && !/^[135]$/.test(replicas))
    throw wrong("replicas", `${echo(replicas)} replicas cannot be`, "There are: 1, 3, 5.");
  return {
    ...(storage === undefined ? {} : { storage }),
    ...(replicas === undefined ? {} : { replicas: Number(replicas) }),
  };
}

/** Throws INVALID_REQUEST for settings that JetStream does not have. */
export function checkJetStream(config: ProviderConfig): void {
  jetStreamSettings(config);
}

/** The address of a Redis server, which may hold its password and is in no message; INVALID_REQUEST without one. */
export function redisUrl({ url }: ProviderConfig): string {
  if (url !== undefined && /^rediss?:\/\//.test(url) && URL.canParse(url)) return url;
  const what = url === undefined ? "there is no url" : "the url is none of Redis";
  throw wrong("url", what, "Set url=redis://[user:password@]host[:port][/database], or rediss:// for TLS.");
}

function wrong(key: string, message: string, fix: string): Failure {
  return new Failure("INVALID_REQUEST", `config.${key}: ${message}`, {
    fix,
    details: { fields: [`config.${key}`] },
  });
}
