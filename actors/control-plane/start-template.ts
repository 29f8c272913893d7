import type { QuestionOf } from "../../src/bus/ask.ts";
import type { RequestOf } from "../../src/bus/serve.ts";
import { copiesOf } from "../../src/lattice/view.ts";
import { signedCommandLimits } from "../../src/limits.ts";
import type { Desk } from "./desk.ts";
import type { StartedModule } from "./resolve-module.ts";
import { instanceIdOf } from "./start-instances.ts";

type Request = RequestOf<"ctl.instance.start">;

/** The ids of a command's copies: the one that was given, or those that follow from the command's own id. */
export function idsOf({ name, instanceId, count }: Request, commandId: string): string[] {
  if (instanceId !== undefined) return [instanceId];
  return Array.from({ length: count }, (_, index) => instanceIdOf(name, commandId, index));
}

/** What the copies of a start command have in common. One that is pinned to a node stays with it. */
export function templateOf(
  desk: Desk,
  request: Request,
  { moduleHash, moduleSource }: Omit<StartedModule, "bytes">,
  commandId: string,
): QuestionOf<"node.instance.start">["template"] {
  const { name, capabilities, restartPolicy, limits, config, requires, spread, nodeId, reuse, audit } =
    request;
  return {
    ...(name === undefined ? {} : { name }),
    moduleHash,
    ...(moduleSource === undefined ? {} : { moduleSource }),
    capabilities,
    restartPolicy,
    limits,
    config,
    requires,
    ...(spread === undefined ? {} : { spread }),
    ...(nodeId === undefined ? {} : { pinnedTo: nodeId }),
    onNodeLoss: nodeId === undefined ? request.onNodeLoss : "stay",
    reuse,
    ...(audit === true ? { audit } : {}),
    commandId,
    createdAt: new Date(createdAtOf(desk, request.instanceId)).toISOString(),
  };
}

/**
 * Ms since 1970: now, and after everything that is known to have happened under that id before, by whatever clock. Clocks that are further
 * ahead than signed commands allow are not followed.
 */
function createdAtOf({ view, clock }: Desk, instanceId: string | undefined): number {
  const now = clock.now();
  if (instanceId === undefined) return now;
  const before = copiesOf(view, instanceId).flatMap(({ spec, since }) => [spec.createdAt, since]);
  const moments = before.map((at) => Date.parse(at) + 1);
  return Math.max(now, ...moments.filter((at) => at < now + signedCommandLimits.windowMs));
}
