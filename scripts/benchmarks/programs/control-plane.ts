import { startControlPlane } from "../../../actors/control-plane/control-plane.ts";
import type { ControlPlaneTrust } from "../../../actors/control-plane/signed-work.ts";
import { connectNats } from "../../../src/bus/nats-bus.ts";
import { randomId, systemChance } from "../../../src/chance.ts";
import { systemClock } from "../../../src/clock.ts";
import { createLog } from "../../../src/log.ts";
import { lattice } from "../guest-engine.ts";
import { answerQuestions } from "../program.ts";

// A control plane as `wasmatrix control-plane` runs it.

const [url = "", trust] = process.argv.slice(2);
const bus = await connectNats({ servers: url, name: "benchmark-control-plane", connectTimeoutMs: 5_000 });
startControlPlane({
  lattice,
  controlPlaneId: randomId(8),
  bus,
  clock: systemClock,
  chance: systemChance,
  log: createLog({ component: "control-plane", lattice }, { level: "warn", pretty: false }),
  trust: trust === undefined ? undefined : (JSON.parse(trust) as ControlPlaneTrust),
});
answerQuestions(() => Promise.resolve());
