import type { httpServerLimits } from "../../limits.ts";

/** What one server takes; `httpServerLimits` unless somebody knows better. */
export type HttpServerLimits = { readonly [name in keyof typeof httpServerLimits]: number };
