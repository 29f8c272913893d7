import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { vi } from "vitest";
import type { Bus } from "../../src/bus/bus.ts";
import { failureInAnswer } from "../../src/bus/guest-answers.ts";
import { connectNats } from "../../src/bus/nats-bus.ts";
import { systemClock } from "../../src/clock.ts";
import { InstanceLimits } from "../../src/protocol/instance-spec.ts";
import type { Engine, EngineEvent, GuestSpec } from "../../src/wasm/engine.ts";
import { engineLauncher } from "../../src/wasm/engine-process.ts";
import { type NatsServer, startNatsServer } from "./nats-server.ts";
import { wat } from "./wat.ts";

/** A real engine process on a real server, with the guests that a test writes. */
export interface RunningEngine extends AsyncDisposable {
  readonly engine: Engine;
  readonly bus: Bus;
  readonly server: NatsServer;
  readonly events: EngineEvent[];
  readonly ends: string[];
  /** A spec for a guest written in WAT, or built before. */
  spec(instanceId: string, module: string | Uint8Array, changes?: SpecChanges): GuestSpec;
  /** Calls as text; a failure is given as its code. */
  call(target: string, operation: string, payload?: string): Promise<string>;
  /** Waits for an event of that type. */
  event<Type extends EngineEvent["type"]>(type: Type): Promise<Extract<EngineEvent, { type: Type }>>;
}

type SpecChanges = Partial<Omit<GuestSpec, "limits">> & { limits?: Partial<InstanceLimits> };

export async function startEngine(cells = 1): Promise<RunningEngine> {
  const server = await startNatsServer();
  const busOptions = { servers: server.url, name: "test", connectTimeoutMs: 5_000 };
  const bus = await connectNats(busOptions);
  const modulesDirectory = mkdtempSync(join(tmpdir(), "wasmatrix-engine-"));
  const events: EngineEvent[] = [];
  const ends: string[] = [];
  const launch = engineLauncher({
    lattice: "test",
    nodeId: "n1",
    bus: busOptions,
    cells,
    modulesDirectory,
    clock: systemClock,
    log: pino({ enabled: false }),
  });
  const engine = await launch(
    (event) => void (event.type === "load" || events.push(event)),
    (reason) => void ends.push(reason),
  );
  let modules = 0;

  return {
    engine,
    bus,
    server,
    events,
    ends,
    spec(instanceId, module, { limits, ...changes } = {}) {
      modules += 1;
      const moduleFile = join(modulesDirectory, `${modules}.wasm`);
      writeFileSync(moduleFile, typeof module === "string" ? wat(module) : module);
      return {
        instanceId,
        name: undefined,
        incarnation: 1,
        digest: `sha256:${modules}`,
        moduleFile,
        limits: InstanceLimits.parse(limits ?? {}),
        config: {},
        reuse: true,
        capabilities: [],
        ...changes,
      };
    },
    async call(target, operation, payload = "") {
      const subject = `wasmatrix.call.v1.test.${target}.${operation}`;
      const answer = await bus.request(subject, new TextEncoder().encode(payload), { timeoutMs: 10_000 });
      const failure = failureInAnswer(answer);
      return failure === undefined ? new TextDecoder().decode(answer.data) : failure.code;
    },
    async event(type) {
      return vi.waitFor(
        () => {
          const found = events.find((event) => event.type === type);
          if (found === undefined) throw new Error(`no ${type} yet: ${JSON.stringify(events)}`);
          return found as never;
        },
        { timeout: 10_000, interval: 5 },
      );
    },
    async [Symbol.asyncDispose]() {
      await engine.close();
      await bus.close();
      await server.stop();
      rmSync(modulesDirectory, { recursive: true, force: true });
    },
  };
}

/** A waPC guest in WAT: `body` leaves 1 for an answer; `$op` and `$len` are lengths, the payload is at 1024. */
export function wapcText(body: string, fields = ""): string {
  return `(module
    (import "wapc" "__guest_request" (func $request (param i32 i32)))
    (import "wapc" "__guest_response" (func $response (param i32 i32)))
    (import "wapc" "__host_call" (func $host_call (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wapc" "__host_response_len" (func $host_response_len (result i32)))
    (import "wapc" "__host_response" (func $host_response (param i32)))
    (import "wapc" "__host_error_len" (func $host_error_len (result i32)))
    (import "wapc" "__host_error" (func $host_error (param i32)))
    (memory (export "memory") 1)
    ${fields}
    (func (export "__guest_call") (param $op i32) (param $len i32) (result i32)
      (call $request (i32.const 0) (i32.const 1024))
      ${body}))`;
}

/** Answers how often it was called in this life, as one digit. */
export const countingGuest = wapcText(
  `(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
   (i32.store8 (i32.const 2048) (i32.add (i32.const 48) (global.get $calls)))
   (if (i32.eq (i32.load8_u (i32.const 0)) (i32.const 116)) (then unreachable))
   (call $response (i32.const 2048) (i32.const 1))
   (i32.const 1)`,
  "(global $calls (mut i32) (i32.const 0))",
);

/** Spins; its fuel decides for how long. */
export const spinningGuest = wapcText("(loop $again (br $again)) (i32.const 1)");

/** Asks `store.get` of the kv type with its payload and answers what it is told, or the error's text. */
export const askingGuest = wapcText(
  `(if (result i32)
     (call $host_call (i32.const 8192) (i32.const 5) (i32.const 8200) (i32.const 2) (i32.const 8210) (i32.const 3)
       (i32.const 1024) (local.get $len))
     (then (call $host_response (i32.const 16384))
           (call $response (i32.const 16384) (call $host_response_len)) (i32.const 1))
     (else (call $host_error (i32.const 16384))
           (call $response (i32.const 16384) (call $host_error_len)) (i32.const 1)))`,
  `(data (i32.const 8192) "store") (data (i32.const 8200) "kv") (data (i32.const 8210) "get")`,
);
