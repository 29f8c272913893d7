import { createColors } from "picocolors";

/** Colours, or the same functions without any effect. */
export type Paint = ReturnType<typeof createColors>;

/** Colours for a terminal that wants them: NO_COLOR (no-color.org) wins over everything, FORCE_COLOR over pipes. */
export function paintFor(isTerminal: boolean, env: NodeJS.ProcessEnv): Paint {
  if ((env["NO_COLOR"] ?? "") !== "") return createColors(false);
  return createColors(isTerminal || (env["FORCE_COLOR"] ?? "") !== "");
}

/** A status in the colour of its urgency. */
export function paintStatus(paint: Paint, status: string): string {
  if (["running", "alive", "available"].includes(status)) return paint.green(status);
  if (["starting", "backing-off", "draining", "suspect"].includes(status)) return paint.yellow(status);
  if (["crashed", "gave-up", "failed", "lost", "unreachable"].includes(status)) return paint.red(status);
  return paint.dim(status);
}
