import { subjectFor } from "../../src/protocol/addresses.ts";
import { measured } from "./calls.ts";
import { compare, type Figure, short } from "./figure.ts";
import { lattice } from "./guest-engine.ts";
import type { LoadResult } from "./in-flight.ts";
import { startProgram } from "./program.ts";
import { childrenOf, startTestLattice } from "./test-lattice.ts";

const instances = 64;

/** Calls of guests that ask the kv provider once each, against a plain responder that asks it the same with nats.js. */
export async function kvGets(name: string): Promise<Figure> {
  await using under = await startTestLattice({ kv: true });
  const digest = await under.store("counter");
  const started = await under.control("ctl.instance.start", {
    module: { digest },
    name: "counter",
    count: instances,
    capabilities: [{ capabilityId: "store", providerType: "kv", permissions: ["kv:read"] }],
  });
  const instanceIds = started.instances.map(({ instanceId }) => instanceId);
  const plainSubject = subjectFor("call", { lattice, target: "plain0", operation: "get" });
  const providerSubject = subjectFor("cap", {
    lattice,
    provider: "kv",
    callingNode: under.nodeId,
    operation: "get",
  });
  using plain = await startProgram("./programs/plain-kv-front.ts", [
    under.url,
    plainSubject,
    providerSubject,
    instanceIds[0] ?? "",
  ]);
  using requester = await startProgram("./programs/our-requester.ts", [under.url]);
  const guestSubjects = instanceIds.map((target) =>
    subjectFor("call", { lattice, target, operation: "get" }),
  );
  const engineOrAgent = childrenOf(under.node.pid)[0] ?? under.node.pid;
  const load = { payloadBytes: 0, answerBytes: 1, inFlight: 64, durationMs: 600 };
  const cell = measured(requester, engineOrAgent, { ...load, subjects: guestSubjects });
  const front = measured(requester, plain.pid, { ...load, subjects: [plainSubject] });
  const rate = async (round: () => Promise<LoadResult>) => (await round()).perSecond;
  const { spread, ...result } = await compare(
    () => rate(() => cell.round()),
    () => rate(() => front.round()),
  );
  const note = `CPU per call: engine ${short(cell.cpuUs())} µs, plain responder ${short(front.cpuUs())} µs; ratio ${spread}`;
  return { name, unit: "calls/s", ...result, note };
}
