import { z } from "zod";
import { lostCallLimits } from "../limits.ts";
import { Id } from "./instance-spec.ts";
import { answer } from "./reply.ts";

/** The last token of a request's reply subject: it tells requests apart, and alone does not let anybody answer. */
const Token = z.string().min(1).max(64);

/** Where a call goes: to a guest, by instance id or name, or to a provider, by its name. */
const route = { kind: z.enum(["guest", "provider"]), target: Id };
export const CallRoute = z.strictObject(route);
export type CallRoute = z.infer<typeof CallRoute>;

/** A call that waits, and for how long it has. */
const WaitingCall = z.strictObject({ token: Token, waitedMs: z.number().min(0) });

/**
 * What a caller asks about calls that take long. Without calls: whether anything was lost that a call to that target may
 * have hit; with them: which of them nobody works on any more.
 */
export const LostCallsQuestion = z.strictObject({
  targets: z
    .array(
      z.strictObject({
        ...route,
        /** Of the oldest call to it. */
        waitedMs: z.number().min(0),
        calls: z.array(WaitingCall).max(lostCallLimits.callsMax).default([]),
      }),
    )
    .min(1)
    .max(lostCallLimits.targetsMax),
});
export type LostCallsQuestion = z.infer<typeof LostCallsQuestion>;

/** What became of them. A call that is not in `lost` is worked on, or nobody knows. */
export const LostCallsAnswer = answer({
  doubted: z.array(CallRoute),
  lost: z.array(z.looseObject({ token: Token, safeToRepeat: z.boolean() })),
});
export type LostCallsAnswer = z.infer<typeof LostCallsAnswer>;

/** Asks a node which of these calls it holds: in progress, or waiting for their turn. */
export const NodeHeldQuestion = z.strictObject({
  guests: z.array(Id).max(lostCallLimits.targetsMax),
  providers: z.array(Id).max(lostCallLimits.targetsMax),
  tokens: z.array(Token).max(lostCallLimits.callsMax),
});
export type NodeHeldQuestion = z.infer<typeof NodeHeldQuestion>;

/** Everything that is in neither list is surely not held by this node. */
export const NodeHeldAnswer = answer({
  held: z.array(Token),
  /** Targets whose worker is busy and cannot say. */
  unsure: z.array(CallRoute),
  /** Guests of which all copies on this node were in one cell when it was ended for being stuck. */
  stuck: z.array(z.looseObject({ target: Id, sinceMs: z.number().min(0), endedMs: z.number().min(0) })),
});
