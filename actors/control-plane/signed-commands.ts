import type { Bus } from "../../src/bus/bus.ts";
import type { Clock } from "../../src/clock.ts";
import type { LatticeView } from "../../src/lattice/view.ts";
import { Failure } from "../../src/protocol/errors.ts";
import { nodeOfCommand } from "../../src/trust/command-rows.ts";
import { signCommand } from "../../src/trust/command-signature.ts";
import type { SigningKey } from "../../src/trust/keys.ts";

/**
 * The same bus, on which what control planes tell nodes is signed: for the life of the node that the view knows. A node
 * of which nobody has heard cannot be told anything: NODE_UNAVAILABLE.
 */
export function signCommands(
  bus: Bus,
  {
    view,
    clock,
    key,
    certificate,
  }: { view: LatticeView; clock: Clock; key: SigningKey; certificate: string },
): Bus {
  const request: Bus["request"] = (subject, data, options) => {
    const node = nodeOfCommand(subject);
    if (node === undefined) return bus.request(subject, data, options);
    const epoch = view.nodes.get(node)?.epoch;
    if (epoch === undefined) return Promise.reject(unheard(node));
    const headers = signCommand({ key, certificate }, { subject, data, epoch, nowMs: clock.now() });
    return bus.request(subject, data, { ...options, headers: { ...options.headers, ...headers } });
  };
  return Object.create(bus, { request: { value: request } }) as Bus;
}

function unheard(nodeId: string): Failure {
  return new Failure(
    "NODE_UNAVAILABLE",
    `no life of node ${nodeId} is known for which a command could be signed`,
    {
      fix: "`wasmatrix nodes` shows the nodes that are heard.",
      details: { nodeId, safeToRepeat: true },
    },
  );
}
