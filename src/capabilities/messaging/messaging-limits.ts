import type { messagingLimits } from "../../limits.ts";

/** What messaging waits for and holds; `messagingLimits` unless a test wants to reach them. */
export type MessagingLimits = { readonly [name in keyof typeof messagingLimits]: number };
