import fc from "fast-check";
import pino from "pino";
import { createLatticeWatch } from "../../../../actors/lattice-watch/lattice-watch.ts";
import { openProviderCalls } from "../../../../actors/provider/provider-calls.ts";
import { failureInAnswer } from "../../../../src/bus/guest-answers.ts";
import type { Bus } from "../../../../src/bus/bus.ts";
import { createMemoryKv } from "../../../../src/capabilities/kv/memory.ts";
import { systemClock } from "../../../../src/clock.ts";
import { createSpeaker } from "../../../../src/lattice/speaker.ts";
import { subjectFor } from "../../../../src/protocol/addresses.ts";
import { encode } from "../../../../src/protocol/codec.ts";
import { capabilityScope } from "../../../../test/support/capability-scope.ts";
import { specOf } from "../../../../test/support/lattice-histories.ts";
import { startMemoryServer } from "../../../../test/support/memory-bus.ts";
import { edit, edited } from "../bytes.ts";
import { holds } from "../expect.ts";
import { fuzzTarget } from "../target.ts";
import { anyText } from "../words.ts";

const text = (good: string) => fc.oneof({ weight: 6, arbitrary: fc.constant(good) }, anyText);
const payloads = fc.oneof(
  fc
    .constantFrom({ key: "a" }, { key: "a", value: new Uint8Array(3) }, { keys: ["a"] }, {})
    .map((map) => encode(map, "msgpack")),
  fc.uint8Array({ maxLength: 40 }),
);
const call = fc.record(
  {
    instanceId: text("i-n1-3"),
    incarnation: fc.oneof(
      { weight: 6, arbitrary: fc.constant<unknown>(1) },
      fc.constantFrom<unknown>(0, -1, 0.5, "1", 2 ** 53 - 1, null),
    ),
    capabilityId: text("c-0"),
    payload: fc.oneof({ weight: 6, arbitrary: payloads }, anyText),
  },
  { noNullPrototype: true },
);

interface Call {
  readonly operation: string;
  readonly bytes: Uint8Array;
}

const codes = new Set([
  "INVALID_REQUEST",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "PAYLOAD_TOO_LARGE",
  "PROVIDER_UNAVAILABLE",
]);
let bus: Bus | undefined;

/** What nodes send to a provider: each call is answered, by what it asked for or by a refusal. */
export const target = fuzzTarget<Call>({
  name: "capability-calls",
  weight: 0.3,
  arbitrary: fc
    .record({
      call,
      operation: fc.constantFrom("get", "set", "list", "get-many", "nothing"),
      edits: fc.array(edit, { maxLength: 2 }),
      dropped: fc.subarray(["instanceId", "incarnation", "capabilityId", "payload"], { maxLength: 1 }),
      damage: fc.constantFrom("none", "none", "edits", "fields"),
    })
    .map(({ call, operation, edits, dropped, damage }) => {
      const kept = Object.entries(call).filter(([name]) => damage !== "fields" || !dropped.includes(name));
      const bytes = bytesOf(Object.fromEntries(kept));
      return { operation, bytes: damage === "edits" ? edited(bytes, edits) : bytes };
    }),
  async check({ operation, bytes }) {
    bus ??= startProvider();
    const subject = subjectFor("cap", { lattice: "default", provider: "kv", callingNode: "n1", operation });
    const answer = await bus.request(subject, bytes, { timeoutMs: 2_000 });
    const failure = failureInAnswer(answer);
    if (failure === undefined) return true;
    holds(codes.has(failure.code), `${failure.code}: ${failure.message}`);
    return false;
  },
});

/** A provider on a bus in memory, and a node that told of one instance with a grant. */
function startProvider(): Bus {
  const log = pino({ enabled: false });
  const clock = systemClock;
  const server = startMemoryServer({ clock });
  const [providerBus, nodeBus] = [server.connect(), server.connect()];
  const watch = createLatticeWatch({ lattice: "default", bus: providerBus, clock, log });
  watch.start();
  const speaker = createSpeaker({
    lattice: "default",
    nodeId: "n1",
    clock,
    publish: (subject, data) => nodeBus.publish(subject, data),
  });
  const joined = { productVersion: "0", protocolVersion: "1.0", hostname: "h", pid: 1 };
  speaker.state("node.joined", { ...joined, labels: {}, guestKinds: ["wapc"], instancesMax: 9 });
  speaker.state("instance.starting", { spec: specOf("i-n1-3", 3, 1), restarts: 0 });
  openProviderCalls({
    lattice: "default",
    provider: "kv",
    capability: createMemoryKv(),
    streams: capabilityScope().streams,
    bus: providerBus,
    clock,
    log,
    watch,
    inProgress: new Set(),
    onBroken: () => {},
  });
  return nodeBus;
}

function bytesOf(map: Record<string, unknown>): Uint8Array {
  try {
    return encode(map, "msgpack");
  } catch {
    return Uint8Array.of(0x80);
  }
}
