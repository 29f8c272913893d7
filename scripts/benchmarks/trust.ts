import { subjectFor } from "../../src/protocol/addresses.ts";
import { measured } from "./calls.ts";
import { compare, type Figure, median, short } from "./figure.ts";
import { lattice } from "./guest-engine.ts";
import { type Program, startProgram } from "./program.ts";
import { childrenOf, startTestLattice, type TestLattice } from "./test-lattice.ts";

const instances = 64;

/** Calls of guests that ask the kv provider once each, where grants have to be proven against where they have not. */
export async function trustedKvGets(name: string): Promise<Figure> {
  await using trusting = await startTestLattice({ kv: true, trust: true });
  await using open = await startTestLattice({ kv: true });
  using ours = await startProgram("./programs/our-requester.ts", [trusting.url]);
  using theirs = await startProgram("./programs/our-requester.ts", [open.url]);
  const proven = await gets(trusting, ours);
  const bare = await gets(open, theirs);
  const { spread, ...result } = await compare(
    async () => (await proven.round()).perSecond,
    async () => (await bare.round()).perSecond,
  );
  const note = `CPU of the engine per call ${short(proven.cpuUs())} µs, without proofs ${short(bare.cpuUs())} µs; ratio ${spread}`;
  return { name, unit: "calls/s", ...result, note };
}

/** The start command of one instance with a grant, where commands and grants are signed against where they are not. */
export async function trustedStarts(name: string): Promise<Figure> {
  await using trusting = await startTestLattice({ kv: true, trust: true });
  await using open = await startTestLattice({ kv: true });
  const { spread, ...result } = await compare(await starts(trusting), await starts(open));
  return { name, unit: "ms", ...result, note: `lower is better; medians of 30 starts; ratio ${spread}` };
}

const capabilities = [{ capabilityId: "store", providerType: "kv", permissions: ["kv:read"] }];

async function gets(under: TestLattice, requester: Program) {
  const digest = await under.store("counter");
  const started = await under.control("ctl.instance.start", {
    module: { digest },
    name: "counter",
    count: instances,
    capabilities,
  });
  const subjects = started.instances.map(({ instanceId }) =>
    subjectFor("call", { lattice, target: instanceId, operation: "get" }),
  );
  const engineOrAgent = childrenOf(under.node.pid)[0] ?? under.node.pid;
  const load = { payloadBytes: 0, answerBytes: 1, inFlight: 64, durationMs: 600 };
  return measured(requester, engineOrAgent, { ...load, subjects });
}

async function starts(under: TestLattice): Promise<() => Promise<number>> {
  const digest = await under.store("counter");
  let begun = 0;
  return async () => {
    const times: number[] = [];
    for (let start = 0; start < 30; start += 1) {
      begun += 1;
      const began = performance.now();
      await under.control("ctl.instance.start", {
        module: { digest },
        instanceId: `known-${begun}`,
        capabilities,
      });
      times.push(performance.now() - began);
    }
    return median(times);
  };
}
