import { createActor, fromCallback, fromPromise, waitFor } from "xstate";
import type { Bus } from "../../src/bus/bus.ts";
import type { Chance } from "../../src/chance.ts";
import { type Clock, timestamp } from "../../src/clock.ts";
import type { Directory } from "../../src/directory/directory.ts";
import { gapsOf } from "../../src/lattice/view.ts";
import type { Log } from "../../src/log.ts";
import { createLatticeWatch } from "../lattice-watch/lattice-watch.ts";
import { serveCommands } from "./commands.ts";
import { type ControlPlaneEvent, controlPlaneMachine } from "./control-plane-machine.ts";
import type { Desk } from "./desk.ts";
import { followDirectory } from "./directory-hints.ts";
import { createExpectedNodes } from "./expected-nodes.ts";
import { createFencing } from "./fencing.ts";
import { createGuestKinds } from "./guest-kinds.ts";
import { createLostCalls } from "./lost-calls.ts";
import { createModuleCopies } from "./module-copies.ts";
import { createPeers } from "./peers.ts";
import { createPresence } from "./presence.ts";
import { probeNode } from "./probe-node.ts";
import { createRecall } from "./recall.ts";
import { createRecentFacts } from "./recent-facts.ts";
import { createRelocation } from "./relocation.ts";
import { serveRenewals } from "./renewals.ts";
import { createRepeatedCommands } from "./repeated-commands.ts";
import { watchSettling } from "./settling.ts";
import { type ControlPlaneTrust, createSignedWork } from "./signed-work.ts";
import { watchSlumber } from "./slumber.ts";

/** A control plane at work. */
export interface ControlPlane {
  readonly id: string;
  /** Resolves when the view was rebuilt for the first time; never if it is stopped before. */
  readonly ready: Promise<void>;
  /** Takes no more commands, answers those in progress, and ends; the bus stays open. */
  stop(): Promise<void>;
}

/** What a control plane needs of the world. */
export interface ControlPlaneOptions {
  lattice: string;
  controlPlaneId: string;
  bus: Bus;
  clock: Clock;
  chance: Chance;
  log: Log;
  /** Hints about nodes that come and go; its caller closes it. */
  directory?: Directory | undefined;
  /** Nodes that there should be: the view is not complete before each was heard once. */
  expectNodes?: readonly string[] | undefined;
  /** With it nodes are told nothing that is not signed; without it the lattice trusts whoever its bus lets in. */
  trust?: ControlPlaneTrust | undefined;
  /** Processor time that this process has used, which tells work from sleep; the system's word unless given. */
  processorMs?: () => number;
}

/**
 * Starts a control plane. It stores nothing: what it knows it hears from the nodes, and every answer says whether that
 * is everything. Any number of them share a lattice.
 */
export function startControlPlane({
  lattice,
  controlPlaneId,
  bus: unsignedBus,
  clock,
  log,
  directory,
  expectNodes = [],
  trust,
  processorMs = systemProcessorMs,
}: ControlPlaneOptions): ControlPlane {
  const watch = createLatticeWatch({ lattice, bus: unsignedBus, clock, log });
  const { view } = watch;
  const common = { lattice, bus: unsignedBus, clock, log, watch, leads: () => peers.leads() };
  const signed = trust === undefined ? undefined : createSignedWork({ ...common, trust });
  const bus = signed?.bus ?? unsignedBus;
  const presence = createPresence({
    view,
    clock,
    log,
    probe: (nodeId, tell) => probeNode({ lattice, bus, clock }, nodeId, tell),
    onChange(nodeId, status) {
      lostCalls.judged(nodeId, status);
      relocation.look();
      fencing.lookAtAll(nodeId);
      copies.lookAtAll();
    },
  });
  const facts = createRecentFacts();
  const guestKinds = createGuestKinds();
  const expected = createExpectedNodes(expectNodes);
  let wasReady = false;
  const commands = createRepeatedCommands();
  const { promise: ready, resolve: announceReady } = Promise.withResolvers<void>();
  const { promise: stopped, resolve: announceStopped } = Promise.withResolvers<void>();

  const machine = controlPlaneMachine.provide({
    actors: {
      watchSettling: fromCallback<ControlPlaneEvent>(({ sendBack }) =>
        watchSettling({ view, presence, clock, isMissing, recall: () => recall.ask() }, () =>
          sendBack({ type: "settled" }),
        ),
      ),
      drainCommands: fromPromise(async () => {
        await Promise.all(subscriptions.map((subscription) => subscription.drain()));
        peers.stop();
        fencing.stop();
        await relocation.stop();
        await copies.stop();
        await commands.idle();
      }),
    },
    actions: {
      announceReady() {
        wasReady = true;
        const missing = expected.neverHeard();
        if (missing.length > 0) log.warn({ nodes: missing }, "nodes that are expected were never heard");
        announceReady();
        peers.beat();
      },
      judgeNobody: () => presence.busLost(),
      judgeNodes() {
        presence.busRegained();
        peers.beat();
      },
    },
  });
  // Waited for once: after that the answers name it, and a reconnect is not held up by it.
  const isMissing = () => !wasReady && expected.neverHeard().length > 0;
  const actor = createActor(machine, { clock });
  const isReady = () => actor.getSnapshot().matches({ serving: "ready" });
  const slumber = watchSlumber(clock, processorMs, (sleptMs, wasBusy) => {
    log.warn({ sleptMs, wasBusy }, "this control plane did not look up for a while");
    // Asked again for what it is about to read anyway, it would never come to an end.
    if (!bus.connected || (wasBusy && !isReady())) return;
    actor.send({ type: "bus.disconnected" });
    actor.send({ type: "bus.connected" });
    if (!wasBusy) watch.askAll("the control plane did not run");
  });
  const peers = createPeers({
    lattice,
    controlPlaneId,
    bus,
    clock,
    log,
    isReady,
    outOfReach: () => recall.outOfReach(),
    onChange: lookEverywhere,
    certificate: signed?.grants.certificate,
    onBeat(beat, isNew) {
      signed?.heardPeer(beat, isNew);
      if (isReady()) recall.heardPeer(beat);
    },
  });
  const desk: Desk = {
    lattice,
    controlPlaneId,
    bus,
    clock,
    log,
    view,
    presence,
    peers,
    facts,
    guestKinds,
    commands,
    grants: signed?.grants,
    revoke: (grantIds) => signed?.revoke(grantIds),
    reserved: new Map(),
    startingProviders: new Set(),
    isReady() {
      slumber.look();
      return isReady();
    },
    async whenReady() {
      await waitFor(
        actor,
        (snapshot) => snapshot.matches({ serving: "ready" }) || !snapshot.matches("serving"),
      );
    },
    viewStatus() {
      const neverHeard = expected.neverHeard();
      const gaps = [...gapsOf(view), ...neverHeard];
      const complete = gaps.length === 0 && actor.getSnapshot().matches({ serving: "ready" });
      const named = neverHeard.length === 0 ? {} : { neverHeard };
      return { complete, gaps, ...named, asOf: timestamp(clock) };
    },
  };

  const recall = createRecall(desk, lookEverywhere);
  const relocation = createRelocation(desk, recall);
  const fencing = createFencing(desk);
  const copies = createModuleCopies(desk);
  const lostCalls = createLostCalls(desk);
  function lookEverywhere(): void {
    relocation.look();
    copies.lookAtAll();
    for (const nodeId of view.nodes.keys()) fencing.lookAtAll(nodeId);
  }

  const forgetters = [
    watch.onFact((fact) => facts.add(fact)),
    watch.onFact((fact) => guestKinds.heard(fact)),
    watch.onFact((fact) => copies.heard(fact)),
    watch.onFact((fact) => lostCalls.heard(fact)),
    watch.onChange((nodeId) => lostCalls.changed(nodeId)),
    watch.onChange((nodeId) => expected.heard(nodeId)),
    watch.onChange((nodeId) => view.nodes.has(nodeId) && presence.heard(nodeId)),
    watch.onFact((fact) => {
      if (mayEndCopies.has(fact.kind)) fencing.look((fact.data as { instanceId: string }).instanceId);
      if (mayMakeRoom.has(fact.kind)) relocation.look();
    }),
    watch.onReplay((nodeId) => {
      relocation.look();
      copies.lookAtAll();
      fencing.lookAtAll(nodeId);
    }),
    ...(directory === undefined ? [] : [followDirectory(directory, { lattice, bus, view, presence, log })]),
    bus.onStatus(({ type }) => {
      if (type === "disconnected") actor.send({ type: "bus.disconnected" });
      else if (type === "connected" || type === "reconnected") actor.send({ type: "bus.connected" });
    }),
  ];
  actor.subscribe((snapshot) => log.debug({ state: snapshot.value }, "the control plane's state changed"));
  actor.subscribe({
    complete() {
      for (const forget of forgetters) forget();
      watch.stop();
      slumber.stop();
      presence.stop();
      signed?.stop();
      announceStopped();
    },
  });
  actor.start();
  const renewals = signed === undefined ? [] : serveRenewals(desk, signed.keys);
  const subscriptions = [...serveCommands(desk), lostCalls.serve(), recall.serve(), ...renewals];
  watch.start();
  if (bus.connected) actor.send({ type: "bus.connected" });
  log.info({ controlPlane: controlPlaneId }, "the control plane takes commands");

  return {
    id: controlPlaneId,
    ready,
    stop() {
      if (actor.getSnapshot().status === "active") actor.send({ type: "stop" });
      return stopped;
    },
  };
}

/** After these a node may take what found no place before. */
const mayMakeRoom: ReadonlySet<string> = new Set([
  "node.joined",
  "node.resumed",
  "node.labelled",
  "instance.stopped",
]);

/** After these, of two copies one may have to end. */
const mayEndCopies: ReadonlySet<string> = new Set([
  "instance.running",
  "instance.crashed",
  "instance.stopped",
]);

/** Processor time of this process so far. */
function systemProcessorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
