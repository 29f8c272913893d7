import { InvalidArgumentError } from "commander";
import type { z } from "zod";
import type { Assignment } from "../../src/protocol/instance-spec.ts";
import { providerTypeOf } from "../../src/protocol/permissions.ts";

/** An assignment as it is sent. */
export type Grant = z.input<typeof Assignment>;

const form = "it must be like store=kv:read,kv:write or store=kv:read?bucket=visits&provider=kv";

/** `store=kv:read,kv:write?bucket=x&provider=y`; the provider type is what the permissions begin with. */
export function grantOf(text: string): Grant {
  const [, capabilityId, listed, query = ""] = /^([^=]+)=([^?]+)(?:\?(.*))?$/.exec(text) ?? [];
  if (capabilityId === undefined || listed === undefined) throw new InvalidArgumentError(form);
  const permissions = listed.split(",");
  const types = new Set(permissions.map(providerTypeOf));
  const [providerType] = types;
  if (providerType === undefined || providerType === "" || types.size > 1) {
    throw new InvalidArgumentError(`${form}; all permissions of one grant are of one provider type`);
  }
  const { provider, ...config } = Object.fromEntries(new URLSearchParams(query));
  return { capabilityId, providerType, permissions, config, ...(provider === undefined ? {} : { provider }) };
}

/** Collects the grants of a flag that may be repeated. */
export function grants(text: string, before: readonly Grant[] = []): Grant[] {
  return [...before, grantOf(text)];
}
