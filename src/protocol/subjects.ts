import type { z } from "zod";
import * as command from "./commands.ts";
import { FactReplay, FactSchema } from "./facts.ts";
import * as lost from "./lost-calls.ts";
import * as node from "./node-commands.ts";
import { row } from "./subject-row.ts";

const ctl = <P extends z.ZodType, R extends z.ZodType>(verb: string, payload: P, reply: R, says: string) =>
  row({
    pattern: `wasmatrix.ctl.v1.{lattice}.${verb}`,
    kind: "queue",
    publishers: ["operator"],
    listeners: ["control-plane"],
    payload,
    reply,
    says,
  });

const toNode = <P extends z.ZodType, R extends z.ZodType>(verb: string, payload: P, reply: R, says: string) =>
  row({
    pattern: `wasmatrix.node.v1.{lattice}.{node}.${verb}`,
    kind: "request",
    publishers: ["control-plane"],
    listeners: ["node"],
    listener: "node",
    // Only where control planes alone may ask: a provider or a node has nothing to sign with.
    signed: true,
    payload,
    reply,
    says,
  });

/** To a node, or to a process that only hosts providers. */
const toHost = <P extends z.ZodType, R extends z.ZodType>(verb: string, payload: P, reply: R, says: string) =>
  row({ ...toNode(verb, payload, reply, says), listeners: ["node", "provider"] });

/** Kinds of providers that only answer: they call no guest. */
const callNobody = ["kv", "http", "blobstore"];

/** Every subject of the product. Nothing else in the repository contains a subject. */
export const subjects = {
  "ctl.instance.start": ctl(
    "instance.start",
    command.InstanceStart,
    command.InstanceStarted,
    "Starts one or more instances of a module and answers once they run.",
  ),
  "ctl.instance.stop": ctl(
    "instance.stop",
    command.InstanceTarget,
    command.InstancesChanged,
    "Ends an instance, or all of a name; calls in progress are answered first.",
  ),
  "ctl.instance.restart": ctl(
    "instance.restart",
    command.InstanceTarget,
    command.InstancesChanged,
    "Restarts an instance, also one that gave up.",
  ),
  "ctl.instance.relocate": ctl(
    "instance.relocate",
    command.InstanceRelocate,
    command.InstancesChanged,
    "Moves an instance to another node; its new copy answers before the old one ends.",
  ),
  "ctl.instance.scale": ctl(
    "instance.scale",
    command.InstanceScale,
    command.InstancesChanged,
    "Starts or stops copies until a name has that many.",
  ),
  "ctl.instance.query": ctl(
    "instance.query",
    command.InstanceQuery,
    command.InstanceQueried,
    "Tells everything that is known of one instance.",
  ),
  "ctl.instance.list": ctl(
    "instance.list",
    command.InstanceList,
    command.InstancesListed,
    "Lists instances, a page at a time.",
  ),
  "ctl.capability.assign": ctl(
    "capability.assign",
    command.CapabilityAssign,
    command.CapabilityChanged,
    "Grants an instance permissions on a provider, from its next call on.",
  ),
  "ctl.capability.revoke": ctl(
    "capability.revoke",
    command.CapabilityRevoke,
    command.CapabilityChanged,
    "Takes a grant back, from the next call on.",
  ),
  "ctl.capability.list": ctl(
    "capability.list",
    command.CapabilityList,
    command.CapabilitiesListed,
    "Lists every grant of every instance.",
  ),
  "ctl.capability.audit": ctl(
    "capability.audit",
    command.CapabilityAudit,
    command.CapabilityAudited,
    "Tells what an instance, or all of a name, has used of its grants and was refused, and the fewest permissions that would do.",
  ),
  "ctl.node.list": ctl(
    "node.list",
    command.NodeList,
    command.NodesListed,
    "Lists the nodes and how far each is known.",
  ),
  "ctl.provider.start": ctl(
    "provider.start",
    command.ProviderStart,
    command.ProvidersChanged,
    "Runs a provider inside a node and answers once it serves calls.",
  ),
  "ctl.provider.stop": ctl(
    "provider.stop",
    command.ProviderStop,
    command.ProvidersChanged,
    "Ends a provider; calls in progress are answered first, later ones get PROVIDER_UNAVAILABLE.",
  ),
  "ctl.provider.update": ctl(
    "provider.update",
    command.ProviderUpdate,
    command.ProvidersChanged,
    "Replaces a provider: the new one serves before the old one ends, and if it cannot, the old one stays.",
  ),
  "ctl.node.drain": ctl(
    "node.drain",
    command.NodeDrain,
    command.NodeDrained,
    "Moves away what a node runs; it takes nothing new until it is resumed.",
  ),
  "ctl.node.resume": ctl(
    "node.resume",
    command.NodeResume,
    command.NodeChanged,
    "Lets a drained node take work again.",
  ),
  "ctl.node.label": ctl(
    "node.label",
    command.NodeLabel,
    command.NodeChanged,
    "Sets and removes labels of a running node.",
  ),
  "ctl.provider.list": ctl(
    "provider.list",
    command.ProviderList,
    command.ProvidersListed,
    "Lists the providers and where they are.",
  ),
  "ctl.module.put": ctl(
    "module.put",
    command.ModulePut,
    command.ModulePutDone,
    "Stores guest bytes on a few nodes, whole or piece by piece.",
  ),
  "ctl.module.list": ctl(
    "module.list",
    command.ModuleList,
    command.ModulesListed,
    "Lists the modules and who holds them.",
  ),
  "ctl.fact.list": ctl(
    "fact.list",
    command.FactList,
    command.FactsListed,
    "Lists the latest facts, oldest first.",
  ),

  "other-version": row({
    pattern: "wasmatrix.ctl.{version}.{lattice}.>",
    kind: "queue",
    publishers: ["operator"],
    listeners: ["control-plane"],
    payload: null,
    reply: null,
    says: "Commands of another major version of the protocol; each is answered with VERSION_MISMATCH.",
  }),

  "node.instance.start": toNode(
    "instance.start",
    node.NodeInstanceStart,
    node.NodeInstancesDone,
    "Starts copies of a template on this node.",
  ),
  "node.instance.stop": toNode(
    "instance.stop",
    node.NodeInstances,
    node.NodeInstancesDone,
    "Stops instances of this node.",
  ),
  "node.instance.restart": toNode(
    "instance.restart",
    node.NodeInstances,
    node.NodeInstancesDone,
    "Restarts instances of this node.",
  ),
  "node.instance.fence": toNode(
    "instance.fence",
    node.NodeInstancesFence,
    node.NodeInstancesDone,
    "Ends copies of this node that copies elsewhere outrank; calls in progress are answered first.",
  ),
  "node.instance.yield": toNode(
    "instance.yield",
    node.NodeInstancesYield,
    node.NodeInstancesYielding,
    "Says that copies elsewhere take over soon, so that nobody refuses what these still do.",
  ),
  "node.node.drain": toHost(
    "node.drain",
    node.NodeDraining,
    node.NodeDone,
    "Begins or ends the draining of this node.",
  ),
  "node.node.label": toHost(
    "node.label",
    node.NodeLabels,
    node.NodeDone,
    "Sets and removes labels of this node.",
  ),
  "node.node.ping": row({
    ...toHost(
      "node.ping",
      node.NodePing,
      node.NodePong,
      "Asks a silent node whether it is there; that nobody listens is the answer of the bus.",
    ),
    // It changes nothing, and its answer says which life of the node others are to sign for.
    signed: false,
  }),
  "node.capability.assign": toNode(
    "capability.assign",
    node.NodeCapabilityAssign,
    node.NodeCapabilityDone,
    "Grants; answered once the cell enforces it.",
  ),
  "node.capability.revoke": toNode(
    "capability.revoke",
    node.NodeCapabilityRevoke,
    node.NodeCapabilityDone,
    "Revokes; answered once the cell enforces it.",
  ),
  "node.capability.list": row({
    ...toNode(
      "capability.list",
      node.NodeAssignmentQuery,
      node.NodeAssignments,
      "Tells the grants of one instance of this node, for a provider that has not heard of them yet.",
    ),
    publishers: ["provider", "control-plane"],
    signed: false,
  }),
  "node.provider.start": toHost(
    "provider.start",
    node.NodeProviderStart,
    node.NodeProviderDone,
    "Runs a provider in this node's process.",
  ),
  "node.provider.stop": toHost(
    "provider.stop",
    node.NodeProviderStop,
    node.NodeProviderDone,
    "Ends a provider of this node.",
  ),
  "node.provider.update": toHost(
    "provider.update",
    node.NodeProviderUpdate,
    node.NodeProviderDone,
    "Replaces a provider of this node.",
  ),
  "node.module.put": toNode(
    "module.put",
    node.NodeModulePut,
    node.NodeModulePutDone,
    "Stores one piece of a module on this node.",
  ),
  "node.module.read": row({
    ...toNode(
      "module.read",
      node.NodeModuleRead,
      node.NodeModulePiece,
      "Reads one piece of a module that this node holds.",
    ),
    publishers: ["node", "control-plane"],
    signed: false,
  }),
  "node.module.pull": toNode(
    "module.pull",
    node.NodeModulePull,
    node.NodeModulePulled,
    "Has a module held by this node, fetched from other holders or from its registry.",
  ),
  "node.module.resolve": toNode(
    "module.resolve",
    node.NodeModuleResolve,
    node.NodeModuleResolved,
    "Asks a registry, as this node, what a reference means now.",
  ),
  "node.fact.replay": row({
    ...toHost(
      "fact.replay",
      node.FactReplayRequest,
      node.FactReplayAccepted,
      "Asks one node, of which something is missing, to tell its present facts again.",
    ),
    publishers: ["control-plane", "provider"],
    signed: false,
  }),

  "node.call.held": toHost(
    "call.held",
    lost.NodeHeldQuestion,
    lost.NodeHeldAnswer,
    "Asks which of these calls this node works on, or is about to.",
  ),

  "nodes.replay": row({
    pattern: "wasmatrix.nodes.v1.{lattice}.replay",
    kind: "broadcast",
    publishers: ["control-plane", "provider", "observer"],
    listeners: ["node", "provider"],
    payload: node.FactReplayRequest,
    reply: null,
    says: "Asks every node to tell its present facts again.",
  }),
  leave: row({
    pattern: "wasmatrix.leave.v1.{lattice}.{node}",
    kind: "queue",
    publishers: ["node"],
    listeners: ["control-plane"],
    speaker: "node",
    payload: node.NodeLeaving,
    reply: command.NodeDrained,
    says: "A node is about to end and asks that others take over what it runs.",
  }),
  renew: row({
    pattern: "wasmatrix.renew.v1.{lattice}.{node}",
    kind: "queue",
    publishers: ["node"],
    listeners: ["control-plane"],
    speaker: "node",
    payload: node.ProofRenewal,
    reply: node.ProofsRenewed,
    says: "A node asks for fresh proofs of grants that it has, before the present ones end; those that do not count any more are left out of the answer.",
  }),
  revoked: row({
    pattern: "wasmatrix.revoked.v1.{lattice}",
    kind: "broadcast",
    publishers: ["control-plane"],
    listeners: ["control-plane", "provider"],
    payload: node.GrantsRevoked,
    reply: null,
    says: "These grants are over, whatever their nodes say and whatever proofs there are of them.",
  }),
  lost: row({
    pattern: "wasmatrix.lost.v1.{lattice}",
    kind: "queue",
    publishers: ["operator", "node", "provider"],
    listeners: ["control-plane"],
    notOf: callNobody,
    payload: lost.LostCallsQuestion,
    reply: lost.LostCallsAnswer,
    says: "Asks about calls that take long: which of them nobody works on any more, because a node, an engine or a cell was lost.",
  }),
  "plane.beat": row({
    pattern: "wasmatrix.plane.v1.{lattice}.{controlPlane}.beat",
    kind: "broadcast",
    publishers: ["control-plane"],
    listeners: ["control-plane", "provider", "observer"],
    speaker: "controlPlane",
    payload: node.ControlPlaneBeat,
    reply: null,
    says: "A control plane says that it is there, and whether it knows the whole lattice.",
  }),
  "plane.recall": row({
    pattern: "wasmatrix.plane.v1.{lattice}.{controlPlane}.recall",
    kind: "request",
    publishers: ["control-plane"],
    listeners: ["control-plane"],
    listener: "controlPlane",
    payload: node.RecallQuestion,
    reply: node.Recalled,
    says: "A control plane asks another one what it has heard of nodes that cannot be asked themselves: they are lost or gone, or have begun another life.",
  }),
  "plane.command": row({
    pattern: "wasmatrix.plane.v1.{lattice}.{controlPlane}.command",
    kind: "request",
    publishers: ["control-plane"],
    listeners: ["control-plane"],
    listener: "controlPlane",
    payload: node.CommandElsewhere,
    reply: node.CommandKnown,
    says: "A control plane asks another one whether it has carried out a command already, or is at it.",
  }),
  fact: row({
    pattern: "wasmatrix.fact.v1.{lattice}.{node}.{noun}.{verb}",
    kind: "broadcast",
    publishers: ["node", "provider"],
    listeners: ["control-plane", "provider", "observer", "operator"],
    speaker: "node",
    payload: FactSchema,
    reply: null,
    says: "States what happened on a node; JSON. Noun and verb are the fact's kind.",
  }),
  "fact.replay": row({
    pattern: "wasmatrix.fact.v1.{lattice}.{node}.node.replay",
    kind: "broadcast",
    publishers: ["node", "provider"],
    listeners: ["control-plane", "provider", "observer"],
    speaker: "node",
    payload: FactReplay,
    reply: null,
    says: "Tells a part of a node's present facts again; JSON.",
  }),
  call: row({
    pattern: "wasmatrix.call.v1.{lattice}.{target}.{operation}",
    kind: "queue",
    publishers: ["operator", "node", "provider"],
    listeners: ["node"],
    notOf: callNobody,
    payload: null,
    reply: null,
    says: "Calls a guest by instance id, or by name (one of those that share it answers); raw bytes both ways.",
  }),
  cap: row({
    pattern: "wasmatrix.cap.v1.{lattice}.{provider}.{callingNode}.{operation}",
    kind: "queue",
    publishers: ["node"],
    listeners: ["provider"],
    speaker: "callingNode",
    listener: "provider",
    payload: null,
    reply: null,
    says: "A guest's capability call, on its way from a cell to the provider; MessagePack around the guest's bytes.",
  }),
  stream: row({
    pattern: "wasmatrix.stream.v1.{lattice}.{holder}.{stream}.{verb}",
    kind: "request",
    publishers: ["node", "provider"],
    listeners: ["node", "provider"],
    listener: "holder",
    payload: null,
    reply: null,
    says: "Reads the next piece of a body that its holder serves (`read`, the payload is how many bytes at most, in decimal), or gives it up (`cancel`).",
  }),
  log: row({
    pattern: "wasmatrix.log.v1.{lattice}.{node}.{instance}",
    kind: "broadcast",
    publishers: ["node"],
    listeners: ["operator", "observer"],
    speaker: "node",
    payload: null,
    reply: null,
    says: "One line of a guest's output; JSON.",
  }),
} as const;

/** The table's keys. */
export type SubjectName = keyof typeof subjects;

/** The parameters of all patterns; each row has those that its own pattern names. */
export type SubjectParameters = Partial<
  Record<
    | "lattice"
    | "node"
    | "noun"
    | "verb"
    | "target"
    | "operation"
    | "provider"
    | "callingNode"
    | "controlPlane"
    | "instance"
    | "holder"
    | "stream"
    | "version",
    string
  >
>;
