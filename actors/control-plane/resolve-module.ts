import type { RequestOf } from "../../src/bus/serve.ts";
import { registryLimits } from "../../src/limits.ts";
import { asFailure, Failure } from "../../src/protocol/errors.ts";
import type { InstanceSpec } from "../../src/protocol/instance-spec.ts";
import { askNode } from "./ask-node.ts";
import type { Desk } from "./desk.ts";
import { noPlace, place } from "./place.ts";
import { placeableNodes } from "./placeable-nodes.ts";
import { digestOfModule } from "./store-module.ts";

/** The module of a start command, as its instances will name it. */
export interface StartedModule {
  readonly moduleHash: string;
  /** The registry's reference of exactly these bytes. */
  readonly moduleSource?: string;
  readonly bytes?: Uint8Array<ArrayBuffer>;
}

/**
 * Finds out which bytes a start command means. A registry is asked by a node that may run the module, once, so that all
 * nodes run the same; of a command that has begun (`begun` is the spec of one of its copies), nothing is asked again: a
 * tag may have moved since.
 */
export async function moduleOf(
  desk: Desk,
  { module, requires, nodeId }: Pick<RequestOf<"ctl.instance.start">, "module" | "requires" | "nodeId">,
  begun: InstanceSpec | undefined,
): Promise<StartedModule> {
  if ("digest" in module) return { moduleHash: module.digest };
  if ("bytes" in module) return { moduleHash: digestOfModule(module.bytes), bytes: module.bytes };
  if (begun !== undefined) return sourced(begun.moduleHash, begun.moduleSource);
  const placement = place(placeableNodes(desk), { requires, pinnedTo: nodeId });
  const asked = placement.candidates.slice(0, registryLimits.resolversMax);
  const reasons: { nodeId: string; reason: string }[] = [];
  let failure =
    asked.length === 0 ? noPlace(placement, `instances of ${module.oci.slice(0, 64)}`) : undefined;
  for (const { nodeId } of asked) {
    try {
      const question = { oci: module.oci };
      const answer = await askNode(desk, nodeId, "node.module.resolve", question, registryLimits.resolveMs);
      return sourced(answer.digest, answer.pinned);
    } catch (error) {
      failure = asFailure(error);
      reasons.push({ nodeId, reason: failure.message });
      // Another node may have credentials, or reach what this one does not; what is no module is none anywhere.
      if (failure.retry !== "elsewhere") break;
    }
  }
  throw withReasons(failure ?? new Failure("NODE_UNAVAILABLE", "no node was asked"), reasons);
}

function sourced(moduleHash: string, moduleSource: string | undefined): StartedModule {
  return { moduleHash, ...(moduleSource === undefined ? {} : { moduleSource }) };
}

function withReasons(failure: Failure, nodes: readonly { nodeId: string; reason: string }[]): Failure {
  return new Failure(failure.code, failure.message, {
    ...(failure.fix === undefined ? {} : { fix: failure.fix }),
    details: { ...failure.details, ...(nodes.length === 0 ? {} : { nodes }) },
    retry: failure.retry,
    cause: failure,
  });
}
