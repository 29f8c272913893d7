import { ErrorReply } from "@redis/client";
import { redisKvLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";
import { echo } from "../../protocol/ids.ts";

/** Redis answers, but does not serve anybody, or not now: each of these words begins its error. */
const notNow = new Set([
  "BUSY",
  "CLUSTERDOWN",
  "LOADING",
  "MASTERDOWN",
  "MISCONF",
  "NOREPLICAS",
  "READONLY",
  "TRYAGAIN",
  "UNKILLABLE",
]);
const notYou = new Set(["NOAUTH", "NOPERM", "WRONGPASS"]);

// No failure here has a `cause`: the client's errors may hold its options, and those a password.

/** The URL cannot be used; what it was is not said, for there may be a password in it. */
export function badUrl(): Failure {
  return new Failure("INVALID_REQUEST", "kv: this is not the URL of a redis server", {
    fix: "Write redis://[user:password@]host[:port][/database], or rediss:// for TLS; escape special characters with %.",
    details: { field: "url" },
  });
}

/** What the client or the server threw, as a `Failure`; bugs come back as they are. */
export function redisFailure(error: unknown, server: string): unknown {
  if (error instanceof Failure) return error;
  if (error instanceof ErrorReply) return refused(error.message, server);
  if (error instanceof TypeError || error instanceof RangeError || !(error instanceof Error)) return error;
  // Node tries several addresses of one name, and says of their failures together only the code.
  return unreachable(server, error.message || String((error as NodeJS.ErrnoException).code));
}

/** There is no connection, or it ended while something was under way. */
function unreachable(server: string, why: string): Failure {
  return new Failure("COMMUNICATION_FAILURE", `kv: redis at ${server} cannot be reached: ${echo(why)}`, {
    fix: `Check that redis-server is running at ${server}; a write on its way may have been done.`,
    details: { server },
  });
}

/** The server was silent for too long. */
export function silent(server: string, timeoutMs: number): Failure {
  return new Failure(
    "COMMUNICATION_FAILURE",
    `kv: no answer from redis at ${server} within ${timeoutMs} ms`,
    {
      fix: `Check that redis-server at ${server} is not stopped or overloaded; a write may have been done.`,
      details: { server, timeoutMs },
    },
  );
}

/** Too much is on its way; nothing was sent. */
export function tooManyCommands(): Failure {
  const { commandsMax } = redisKvLimits;
  return new Failure("RESOURCE_EXHAUSTED", `kv: ${commandsMax} commands wait for redis`, {
    fix: "Call it less often, or start another kv provider.",
    details: { commandsMax },
    retry: "later",
  });
}

/** An answer of another kind than its command has: something that only speaks like Redis, or a proxy that mixes answers up. */
export function nonsense(server: string, cause: unknown): Failure {
  return new Failure("COMMUNICATION_FAILURE", `kv: redis at ${server} answers what its commands never do`, {
    fix: `Check that there is a redis-server at ${server}, and what stands between; a write may have been done.`,
    details: { server },
    cause,
  });
}

/** Keys could vanish at any time. */
export function evicts(server: string, policy: string): Failure {
  return new Failure("PROVIDER_UNAVAILABLE", `kv: redis at ${server} drops keys when its memory is full`, {
    fix: "Set `maxmemory-policy noeviction` in the configuration of redis-server.",
    details: { server, policy },
    retry: "never",
  });
}

function refused(message: string, server: string): Failure {
  const [word = ""] = message.split(" ", 1);
  const details = { server };
  const why = `kv: redis at ${server} refuses: ${echo(message)}`;
  if (word === "OOM") {
    const fix = "Delete keys, or raise `maxmemory` in the configuration of redis-server.";
    return new Failure("RESOURCE_EXHAUSTED", why, { fix, details, retry: "later" });
  }
  if (notYou.has(word)) {
    const fix = "Check user and password in the URL, and with `ACL GETUSER` what that user may do.";
    return new Failure("PROVIDER_UNAVAILABLE", why, { fix, details, retry: "never" });
  }
  const fix = notNow.has(word)
    ? "Wait until redis-server serves writes again, or give the URL of the primary."
    : "Check that it is Redis 6 or later, or Valkey, and look at its log.";
  return new Failure("PROVIDER_UNAVAILABLE", why, { fix, details });
}
