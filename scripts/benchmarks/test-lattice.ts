import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Bus } from "../../src/bus/bus.ts";
import { connectNats } from "../../src/bus/nats-bus.ts";
import { type AskControl, askControl } from "../../src/client/control.ts";
import { systemClock, delay } from "../../src/clock.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { issueCertificate } from "../../src/trust/certificate.ts";
import { generateKeyPair, signingKeyFrom } from "../../src/trust/keys.ts";
import { startNatsServer } from "../../test/support/nats-server.ts";
import { exampleFile, lattice } from "./guest-engine.ts";
import { type Program, startProgram } from "./program.ts";

/** A lattice of one control plane and one node, each in its own process, on a server of its own. */
export interface TestLattice extends AsyncDisposable {
  readonly url: string;
  readonly bus: Bus;
  readonly control: AskControl;
  readonly node: Program;
  readonly nodeId: string;
  /** Uploads a built example, and gives its digest. */
  store(example: string): Promise<string>;
}

/**
 * Starts one; `kv` adds a third process that hosts the kv provider, `trust` has commands and grants signed. Resolves once
 * the control plane knows them all.
 */
export async function startTestLattice(
  options: { kv?: boolean; trust?: boolean } = {},
): Promise<TestLattice> {
  const trust = options.trust === true ? newTrust() : undefined;
  const roots = trust === undefined ? [] : [trust.roots.join()];
  const modules = mkdtempSync(join(tmpdir(), "wasmatrix-bench-"));
  const stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(modules, { recursive: true, force: true }));
  const server = stack.use(await startNatsServer());
  const bus = await connectNats({ servers: server.url, name: "benchmark", connectTimeoutMs: 5_000 });
  stack.defer(() => bus.close());
  const nodeId = "node-1";
  const signing = trust === undefined ? [] : [JSON.stringify(trust)];
  stack.use(await startProgram("./programs/control-plane.ts", [server.url, ...signing]));
  const own = [server.url, nodeId, modules, "guests", ...roots];
  const node = stack.use(await startProgram("./programs/node.ts", own));
  if (options.kv) {
    const kv = [server.url, "kv-1", join(modules, "kv"), "kv", ...roots];
    stack.use(await startProgram("./programs/node.ts", kv));
  }
  const control = askControl(bus, lattice);
  await untilComplete(control, options.kv ? 2 : 1);
  return {
    url: server.url,
    bus,
    control,
    node,
    nodeId,
    async store(example) {
      const { digest } = await control("ctl.module.put", {
        bytes: new Uint8Array(readFileSync(exampleFile(example))),
      });
      return digest;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** A root, and a control plane that it certified. */
function newTrust() {
  const [root, own] = [generateKeyPair(), generateKeyPair()];
  const claims = { lattice, controlPlane: "bench", key: own.key, until: "2099-01-01T00:00:00Z" };
  const certificate = issueCertificate(signingKeyFrom(root.seed), claims);
  return { roots: [root.key], signing: { seed: own.seed, certificate } };
}

/** Resolves once a control plane knows so many nodes completely; gives the instances that it knows of. */
export async function untilComplete(control: AskControl, nodes: number): Promise<number> {
  for (;;) {
    try {
      const listed = await control("ctl.node.list", {});
      if (listed.view.complete && listed.nodes.length === nodes)
        return listed.nodes.reduce((sum, one) => sum + one.instances, 0);
    } catch (error) {
      // None listens yet.
      if (!(error instanceof Failure && error.code === "COMMUNICATION_FAILURE")) throw error;
    }
    await delay(systemClock, 5);
  }
}

/** Resident bytes of a process, and of everything below it unless it is meant alone. */
export function rssBytesOf(pid: number, extent: "alone" | "with children" = "with children"): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0";
  const children = extent === "alone" ? [] : childrenOf(pid);
  return children.reduce((sum, child) => sum + rssBytesOf(child), Number(kilobytes) * 1_024);
}

/** The processes that this one started and that still run. */
export function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").split(" ").filter(Boolean).map(Number),
  );
}
