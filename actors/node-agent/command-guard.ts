import type { Bus, BusMessage } from "../../src/bus/bus.ts";
import { type Clock, timestamp } from "../../src/clock.ts";
import { createCountedReports } from "../../src/counted-reports.ts";
import type { Speaker } from "../../src/lattice/speaker.ts";
import { proofLimits, signedCommandLimits } from "../../src/limits.ts";
import type { Log } from "../../src/log.ts";
import { encode } from "../../src/protocol/codec.ts";
import { errorBody } from "../../src/protocol/errors.ts";
import type { SubjectName } from "../../src/protocol/subjects.ts";
import { commandFilters } from "../../src/trust/command-rows.ts";
import { checkCommand, type CommandRefusal } from "../../src/trust/command-signature.ts";
import type { ProofKeys } from "../../src/trust/proof-keys.ts";
import { createSeenNonces } from "../../src/trust/seen-nonces.ts";

/** A bus on which a node hears of commands only what a control plane has signed for this life of it. */
export interface CommandGuard {
  readonly bus: Bus;
  /** States nothing any more. */
  end(): void;
}

interface Refused {
  readonly row: SubjectName;
  readonly reason: CommandRefusal["reason"];
}

/**
 * Checks commands before anybody decodes them. What does not count is answered with PERMISSION_DENIED, logged, and stated
 * as `command.refused`; a repeated one is not answered, for its refusal could overtake the answer to the first.
 * Certificates of those whose commands count are stated as `node.trusted`: whoever takes over what runs here can check by
 * them what was granted.
 */
export function guardCommands(world: {
  bus: Bus;
  clock: Clock;
  log: Log;
  speaker: Speaker;
  keys: ProofKeys;
}): CommandGuard {
  const { bus, clock, log, speaker, keys } = world;
  const rows = commandFilters(speaker.lattice, speaker.nodeId);
  const seen = createSeenNonces();
  const refusals = createCountedReports<Refused>(
    clock,
    signedCommandLimits.refusalPeriodMs,
    ({ row, reason }, count) => {
      log.warn({ row, reason, count }, "commands were refused");
      speaker.state("command.refused", { row, reason, count });
    },
  );

  function hear(row: SubjectName, message: BusMessage, onMessage: (message: BusMessage) => void): void {
    const outcome = checkCommand(message, { keys, seen, epoch: speaker.epoch, nowMs: clock.now() });
    if ("reason" in outcome) return refuse(row, message, outcome);
    const { certificates } = speaker.own();
    if (!certificates.has(outcome.certificate) && certificates.size < proofLimits.certificatesMax)
      speaker.state("node.trusted", { certificate: outcome.certificate });
    onMessage(message);
  }

  function refuse(row: SubjectName, message: BusMessage, { reason, failure }: CommandRefusal): void {
    refusals.add(`${row} ${reason}`, { row, reason });
    log.debug({ row, reason, message: failure.message }, "a command was refused");
    if (reason === "replayed") return;
    const form = message.data[0] === 0x7b ? "json" : "msgpack";
    message.respond(encode({ ok: false, error: errorBody(failure, timestamp(clock)) }, form));
  }

  const subscribe: Bus["subscribe"] = (filter, onMessage, options) => {
    const row = rows.get(filter);
    const heard = row === undefined ? onMessage : (message: BusMessage) => hear(row, message, onMessage);
    return bus.subscribe(filter, heard, options);
  };
  // Everything else is the bus itself, what it says of its connection at each moment included.
  const guarded = Object.create(bus, { subscribe: { value: subscribe } }) as Bus;
  return { bus: guarded, end: () => refusals.end() };
}
