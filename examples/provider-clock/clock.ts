import type { CreateCapability } from "../../actors/provider/provider-kind.ts";
import { decode, encode } from "../../src/protocol/codec.ts";
import { Failure } from "../../src/protocol/errors.ts";

/**
 * A provider of one's own: what time it is, in a time zone. Grants of it read `clock:now`, or `clock:*` for all that it
 * may learn to do later.
 *
 *     wasmatrix provider examples/provider-clock/clock.ts --config zone=Europe/Berlin
 */
export const providerType = "clock";

export const createProvider: CreateCapability = async ({ clock }, config) => {
  const zone = config["zone"] ?? "UTC";
  const format = formatOf(zone);
  let isClosed = false;

  return {
    providerType,
    async call(_scope, operation, payload) {
      if (isClosed) throw new Failure("PROVIDER_UNAVAILABLE", "the clock has stopped");
      if (operation !== "now") throw new Failure("INVALID_REQUEST", `a clock has no operation ${operation}`);
      // The answer comes in the form of the question: JSON, or MessagePack where nothing was sent.
      const form = payload.length === 0 ? "msgpack" : decode(payload).form;
      const now = clock.now();
      return encode({ ms: now, zone, text: format.format(now) }, form);
    },
    async close() {
      isClosed = true;
    },
  };
};

function formatOf(zone: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat("en-GB", { timeZone: zone, dateStyle: "medium", timeStyle: "long" });
  } catch {
    throw new Failure("INVALID_REQUEST", "config.zone is not a time zone", { fix: "Write it like Europe/Berlin." });
  }
}
