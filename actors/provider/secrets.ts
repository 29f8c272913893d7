import { providerLifeLimits } from "../../src/limits.ts";
import { asFailure, Failure } from "../../src/protocol/errors.ts";
import type { ProviderConfig } from "./provider-kind.ts";

const secretKey = /pass|token|secret|cred|auth|key$/i;

/**
 * A failure that may be shown: the secrets of the configuration are taken out of its texts, for a driver may have put
 * the address that it was given into its message, with the password. What is no `Failure` becomes PROVIDER_UNAVAILABLE.
 */
export function withoutSecrets(error: unknown, config: ProviderConfig): Failure {
  const failure =
    error instanceof Failure
      ? error
      : new Failure("PROVIDER_UNAVAILABLE", asFailure(error).message.replace(/^unexpected: /, ""));
  const secrets = secretsOf(config);
  const clean = (text: string) =>
    secrets
      .reduce((shown, secret) => shown.replaceAll(secret, "…"), text)
      .slice(0, providerLifeLimits.reasonCharactersMax);
  const { code, message, fix, retry } = failure;
  // Neither cause nor details: both may hold anything.
  return new Failure(code, clean(message), { ...(fix === undefined ? {} : { fix: clean(fix) }), retry });
}

function secretsOf(config: ProviderConfig): string[] {
  const found = Object.entries(config).flatMap(([key, value]) => {
    const inUrl = URL.canParse(value) ? userOf(new URL(value)) : [];
    return secretKey.test(key) ? [value, ...inUrl] : inUrl;
  });
  return found.filter((secret) => secret !== "").toSorted((one, other) => other.length - one.length);
}

function userOf({ username, password }: URL): string[] {
  const forms = (text: string) => [text, decoded(text)];
  return [...(password === "" ? [] : [`${username}:${password}`]), ...forms(password), ...forms(username)];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
