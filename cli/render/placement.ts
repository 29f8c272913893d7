import type { z } from "zod";
import type { InstanceStarted } from "../../src/protocol/commands.ts";
import type { Paint } from "./paint.ts";
import { table } from "./table.ts";

type Plan = Pick<z.infer<typeof InstanceStarted>, "placement" | "unfit" | "withoutPlace"> & {
  readonly warning?: unknown;
};

/** Where copies would go: the nodes that can take them, the best first, and then those that cannot, with the reason. */
export function placementSheet(
  paint: Paint,
  { placement = [], unfit = [], withoutPlace, warning }: Plan,
): string {
  const fit = placement.map(({ nodeId, rank, share, reasons }) => [
    String(rank),
    paint.bold(nodeId),
    share === 0 ? paint.dim("0") : paint.green(String(share)),
    reasons.join(", "),
  ]);
  const others = unfit.map(({ nodeId, reason }) => ["", paint.bold(nodeId), paint.red("✘"), reason]);
  const rows = [...fit, ...others];
  return [
    rows.length === 0
      ? paint.dim("no nodes; start one: wasmatrix node")
      : table(paint, ["rank", "node", "copies", "why"], rows),
    ...(withoutPlace === undefined ? [] : [paint.red(`${withoutPlace} of them have no place`)]),
    ...(typeof warning === "string" ? [paint.yellow(warning)] : []),
  ].join("\n");
}
