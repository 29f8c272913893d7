import { createEngineSeat } from "../../actors/node-agent/engine-child.ts";
import { tellEngineEvent } from "../../actors/node-agent/engine-facts.ts";
import { createInstanceTable } from "../../actors/node-agent/instance-table.ts";
import { seededChance } from "../../src/chance.ts";
import { createSpeaker } from "../../src/lattice/speaker.ts";
import type { Fact } from "../../src/protocol/facts.ts";
import { InstanceSpec, type RestartPolicy } from "../../src/protocol/instance-spec.ts";
import type { Engine } from "../../src/wasm/engine.ts";
import { fakeEngines } from "./fake-engine.ts";
import { createRefusals } from "../../src/bus/refusals.ts";
import { virtualClock } from "./virtual-clock.ts";

/** The id of the one instance of a lab. */
export const labInstanceId = "a";

/** A node's table with one instance at a time, on fake engines that are switched by hand. */
export function instanceLab(restartPolicy: RestartPolicy, seed: number) {
  const clock = virtualClock(1_700_000_000_000);
  const engines = fakeEngines(() => clock.now());
  const seat = createEngineSeat();
  const refusals = createRefusals(clock, () => {});
  const facts: Fact[] = [];
  const broken: string[] = [];
  let starting = 0;
  let incarnation = 0;
  const speaker = createSpeaker({ lattice: "default", nodeId: "n1", clock, publish: () => {} });
  speaker.onFact((fact) => facts.push(fact));
  const table = createInstanceTable({
    speaker,
    clock,
    chance: seededChance(seed),
    seat,
    cache: () => ({ fileOf: () => "a.wasm" }) as never,
  });

  function watched(engine: Engine): Engine {
    return {
      ...engine,
      async start(spec) {
        if (engines.guests.has(spec.instanceId)) broken.push("started where a guest lives");
        if (starting > 0) broken.push("started while a start is under way");
        starting += 1;
        await engine.start(spec).finally(() => (starting -= 1));
      },
    };
  }

  return {
    clock,
    engines,
    facts,
    /** Promises that the engine was asked to break. */
    broken,
    own: () => speaker.own().instances.get(labInstanceId),
    actor: () => table.get(labInstanceId),
    guestLives: () => engines.guests.has(labInstanceId),
    begin() {
      incarnation += 1;
      table.begin(
        InstanceSpec.parse({
          moduleHash: `sha256:${"0".repeat(64)}`,
          commandId: `c${incarnation}`,
          createdAt: "2026-01-01T00:00:00.000Z",
          instanceId: labInstanceId,
          incarnation,
          restartPolicy,
        }),
      );
    },
    async engineUp() {
      const engine = await engines.launch(
        (event) => tellEngineEvent(event, { speaker, instances: table, onLoad: () => {}, refusals }),
        () => {
          seat.take(undefined);
          table.tellAll({ type: "engine.lost" });
        },
      );
      seat.take(watched(engine));
    },
  };
}

/** What {@link instanceLab} makes. */
export type InstanceLab = ReturnType<typeof instanceLab>;
