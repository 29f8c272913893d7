import { z } from "zod";
import { Id, StringMap } from "../protocol/instance-spec.ts";

/** That a node is there; nothing of what it runs. */
export const NodeRecord = z.looseObject({
  nodeId: Id,
  /** This life's start, ms since 1970. */
  epoch: z.int().min(0),
  hostname: z.string(),
  labels: StringMap,
  productVersion: z.string(),
});
export type NodeRecord = Pick<
  z.infer<typeof NodeRecord>,
  "nodeId" | "epoch" | "hostname" | "labels" | "productVersion"
>;

/** A provider on one of its hosts: what it is, not what it holds. */
export interface ProviderRecord {
  readonly provider: string;
  readonly nodeId: string;
  readonly providerType: string;
  readonly backend: string;
  readonly version: string;
}

/** What a directory noticed of a node. It is late or wrong at times: a hint to ask, never the truth. */
export type DirectoryChange =
  | { readonly type: "appeared"; readonly nodeId: string; readonly epoch: number }
  | { readonly type: "disappeared"; readonly nodeId: string };

/**
 * The port to a directory outside the lattice, in which others can look up who is there (R7). Optional: nothing waits for
 * it and nothing is decided by it. No call fails or blocks; what cannot be written now is written when it can.
 */
export interface Directory {
  /** Has that node in the directory for as long as this process lives. */
  putNode(node: NodeRecord): void;
  /** Has that provider in the directory, until it is removed or this process ends. */
  putProvider(provider: ProviderRecord): void;
  removeProvider(provider: string, nodeId: string): void;
  /** Calls back with each node that comes or goes, first with those that are there; the function returned ends that. */
  onChange(listener: (change: DirectoryChange) => void): () => void;
  /** Takes out what was put, if that can be done soon. Always resolves. */
  close(): Promise<void>;
}
