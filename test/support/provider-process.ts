import { type ChildProcess, spawn } from "node:child_process";
import { vi } from "vitest";
import { endWithUs } from "./nats-server.ts";
import { done } from "./lattice-workload.ts";
import type { TestLattice } from "./lattice.ts";
import { program } from "./program.ts";

/** A `wasmatrix provider …` process. */
export interface ProviderProcess {
  readonly child: ChildProcess;
  /** Ends it with that signal, and resolves once it is gone. */
  end(signal: NodeJS.Signals): Promise<void>;
}

/** Starts one with these arguments and resolves once all its providers are available, that one among them. */
export async function startProviderProcess(
  lattice: TestLattice,
  id: string,
  provider: string,
  args: readonly string[],
): Promise<ProviderProcess> {
  const child = spawn(program, ["--nats", lattice.server.url, "provider", ...args, "--id", id], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, XDG_CACHE_HOME: lattice.directory },
  });
  endWithUs(child);
  const said: string[] = [];
  child.stderr?.on("data", (data: Buffer) => said.push(data.toString()));
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  await vi.waitFor(
    async () => {
      const { providers } = await done(lattice, "provider.list", {});
      const here: { provider: string; status: string }[] = providers.filter(
        (one: { nodeId: string }) => one.nodeId === id,
      );
      // All of them state that they start before any serves.
      const found =
        here.some((one) => one.provider === provider) && here.every(({ status }) => status === "available");
      if (!found) throw new Error(`${provider} is not available:\n${said.join("")}`);
    },
    { timeout: 15_000, interval: 20 },
  );
  return {
    child,
    async end(signal) {
      child.kill(signal);
      await exited;
    },
  };
}
