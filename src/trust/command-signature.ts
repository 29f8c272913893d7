import { Buffer } from "node:buffer";
import { createHash, randomBytes } from "node:crypto";
import { signedCommandLimits } from "../limits.ts";
import { Failure } from "../protocol/errors.ts";
import type { FactData } from "../protocol/facts.ts";
import { isSignedBy, type SigningKey } from "./keys.ts";
import type { CertifiedKey, ProofKeys } from "./proof-keys.ts";
import type { SeenNonces } from "./seen-nonces.ts";

/** Headers of a command that a control plane signs. */
export const commandHeaders = {
  /** Of lattice and node (both in the subject), epoch, time, nonce and the SHA-512 of the payload; base64url. */
  signature: "Wasmatrix-Signature",
  /** 16 random bytes in base64url: a command counts once. */
  nonce: "Wasmatrix-Nonce",
  /** When it was signed, ms since 1970. */
  time: "Wasmatrix-Time",
  /** The life of the node that is meant. */
  epoch: "Wasmatrix-Epoch",
  /** What a root says of the signer. */
  certificate: "Wasmatrix-Certificate",
} as const;

/** Why a command does not count. */
export interface CommandRefusal {
  readonly reason: FactData<"command.refused">["reason"];
  readonly failure: Failure;
}

/** The command as it came. */
export interface ReceivedCommand {
  readonly subject: string;
  readonly data: Uint8Array;
  header(name: string): string | undefined;
}

/** The headers of a command, signed for one life of the node that its subject names. About 60 µs. */
export function signCommand(
  { key, certificate }: { key: SigningKey; certificate: string },
  command: { subject: string; data: Uint8Array; epoch: number; nowMs: number },
): Record<string, string> {
  const { subject, data, epoch, nowMs } = command;
  const nonce = randomBytes(16).toString("base64url");
  const text = signedText({ subject, epoch: String(epoch), time: String(nowMs), nonce, data });
  return {
    [commandHeaders.signature]: key.sign(text).toString("base64url"),
    [commandHeaders.nonce]: nonce,
    [commandHeaders.time]: String(nowMs),
    [commandHeaders.epoch]: String(epoch),
    [commandHeaders.certificate]: certificate,
  };
}

/**
 * Who signed a command, if it counts: for this life of this node, now, and for the first time. About 150 µs with a
 * certificate that was seen before.
 */
export function checkCommand(
  command: ReceivedCommand,
  node: { keys: ProofKeys; seen: SeenNonces; epoch: number; nowMs: number },
): CertifiedKey | CommandRefusal {
  const signature = command.header(commandHeaders.signature);
  const certificate = command.header(commandHeaders.certificate);
  if (signature === undefined || certificate === undefined)
    return refused("unsigned", "nobody has signed it", asControlPlane);
  const { nonce, time, epoch } = numbersOf(command);
  if (nonce === undefined || time === undefined || epoch === undefined)
    return refused("malformed", "its headers are not those of a signed command", asControlPlane);
  let signer: CertifiedKey;
  try {
    signer = node.keys.learn(certificate);
  } catch (error) {
    return refused("unknown-certificate", error instanceof Error ? error.message : "no root vouches for it", {
      fix: "Give the control plane credentials of a root that this node trusts: wasmatrix auth add control-plane <id>",
    });
  }
  if (signer.untilMs <= node.nowMs)
    return refused(
      "ended-certificate",
      `the certificate of ${signer.controlPlane} ended at ${new Date(signer.untilMs).toISOString()}`,
      { fix: "Renew its credentials, or see whether the clock of this node is right." },
    );
  const text = signedText({ subject: command.subject, epoch, time, nonce, data: command.data });
  const bytes = Buffer.from(signature, "base64url");
  if (bytes.toString("base64url") !== signature || !isSignedBy(signer.key, text, bytes))
    return refused("bad-signature", `${signer.controlPlane} has not signed this`, asControlPlane);
  if (Number(epoch) !== node.epoch)
    return refused("other-life", "it is for another life of this node", {
      fix: "Send it again: the control plane has not heard yet that the node was started anew.",
      retry: "later",
      details: { safeToRepeat: true },
    });
  return checkTime(signer, nonce, Number(time), node) ?? signer;
}

function checkTime(
  { controlPlane }: CertifiedKey,
  nonce: string,
  atMs: number,
  { seen, nowMs }: { seen: SeenNonces; nowMs: number },
): CommandRefusal | undefined {
  const offMs = nowMs - atMs;
  if (Math.abs(offMs) > signedCommandLimits.windowMs)
    return refused(
      "out-of-time",
      `${controlPlane} signed it ${Math.round(Math.abs(offMs) / 1_000)} s ${offMs > 0 ? "before" : "after"} this node's present time`,
      {
        fix: `Set the clocks of both machines by NTP; they may be ${signedCommandLimits.windowMs / 1_000} s apart.`,
        retry: "elsewhere",
        details: { safeToRepeat: true },
      },
    );
  if (seen.take(nonce, atMs, nowMs)) return undefined;
  return refused("replayed", `${controlPlane} signed it for one use, and it came before`, asControlPlane);
}

const asControlPlane = {
  fix: "Send commands to a control plane (wasmatrix.ctl…), which signs what it tells nodes.",
} as const;

/** Nothing else in these headers is signed for: another spelling of a number would be another text of the same command. */
function numbersOf(command: ReceivedCommand): { nonce?: string; time?: string; epoch?: string } {
  const legal = (name: string, form: RegExp) => {
    const value = command.header(name);
    return value !== undefined && form.test(value) ? value : undefined;
  };
  const nonce = legal(commandHeaders.nonce, /^[A-Za-z0-9_-]{22}$/);
  const time = legal(commandHeaders.time, /^[1-9][0-9]{0,14}$/);
  const epoch = legal(commandHeaders.epoch, /^(?:0|[1-9][0-9]{0,14})$/);
  return {
    ...(nonce === undefined ? {} : { nonce }),
    ...(time === undefined ? {} : { time }),
    ...(epoch === undefined ? {} : { epoch }),
  };
}

/** No part can hold a line break, so that each text has one meaning. */
function signedText(parts: {
  subject: string;
  epoch: string;
  time: string;
  nonce: string;
  data: Uint8Array;
}): Buffer {
  const hash = createHash("sha512").update(parts.data).digest("base64url");
  const { subject, epoch, time, nonce } = parts;
  return Buffer.from(["wasmatrix command v1", subject, epoch, time, nonce, hash].join("\n"));
}

function refused(
  reason: CommandRefusal["reason"],
  why: string,
  context: { fix: string; retry?: Failure["retry"]; details?: Record<string, unknown> },
): CommandRefusal {
  const details = { ...context.details, reason };
  return {
    reason,
    failure: new Failure("PERMISSION_DENIED", `the command does not count: ${why}`, { ...context, details }),
  };
}
