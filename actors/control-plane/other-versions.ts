import type { BusMessage, Subscription } from "../../src/bus/bus.ts";
import { timestamp } from "../../src/clock.ts";
import { versionLimits } from "../../src/limits.ts";
import { filterFor, parametersOf } from "../../src/protocol/addresses.ts";
import { encode } from "../../src/protocol/codec.ts";
import { errorBody, Failure } from "../../src/protocol/errors.ts";
import { protocolVersion } from "../../src/protocol/version.ts";
import type { Desk } from "./desk.ts";

/**
 * Answers commands of other major versions with VERSION_MISMATCH, whatever is in them. One subscription to each version:
 * a wildcard would match this version's commands as well, and bring each of them, pieces of modules included, twice.
 */
export function refuseOtherVersions(desk: Desk): Subscription[] {
  const { lattice, bus } = desk;
  return versionLimits.otherMajors.map((major) =>
    bus.subscribe(
      filterFor("other-version", { lattice, version: `v${major}` }),
      (message) => refuse(desk, message),
      { queue: "control-plane" },
    ),
  );
}

function refuse({ clock }: Desk, message: BusMessage): void {
  const { version = "" } = parametersOf("other-version", message.subject);
  const failure = new Failure(
    "VERSION_MISMATCH",
    `commands of protocol ${version} are not understood here: this control plane speaks ${protocolVersion}`,
    {
      fix: "Use a client of the same major version; compare `wasmatrix --version` on both ends.",
      details: { protocolVersion },
    },
  );
  // What is no JSON object is taken for MessagePack, of this version or of another one.
  const form = message.data[0] === 0x7b ? "json" : "msgpack";
  message.respond(encode({ ok: false, error: errorBody(failure, timestamp(clock)) }, form));
}
