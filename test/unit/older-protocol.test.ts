import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { z } from "zod";
import { validate } from "../../src/bus/serve.ts";
import { applyFact, applyReplay } from "../../src/lattice/apply-fact.ts";
import { tellAgain } from "../../src/lattice/tell-again.ts";
import { createView, type LatticeView } from "../../src/lattice/view.ts";
import { filterFor } from "../../src/protocol/addresses.ts";
import { type Fact, factKinds, type FactReplay } from "../../src/protocol/facts.ts";
import { Refusal } from "../../src/protocol/reply.ts";
import { type SubjectName, subjects } from "../../src/protocol/subjects.ts";
import { isOurMajor } from "../../src/protocol/version.ts";
import { failureFrom } from "../support/failure-of.ts";
import { shapeOf } from "../support/lattice-histories.ts";
import { subjectMatches } from "../support/subject-matches.ts";

interface Recorded {
  readonly row: SubjectName;
  readonly subject: string;
  readonly payload: object;
  readonly answer?: { ok: boolean };
}

function recorded<One>(name: string): One[] {
  const text = readFileSync(new URL(`../fixtures/protocol-1.0/${name}.jsonl`, import.meta.url), "utf8");
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as One);
}

const messages = recorded<Recorded>("messages");
const life = recorded<Fact | FactReplay>("life-of-a-node");
const facts = [...life, ...recorded<Fact>("other-facts")];
const byRow = [...Map.groupBy(messages, ({ row }) => row)];

/** Kinds that are younger than 1.0. */
const later = ["bus.refused", "node.trusted", "command.refused", "capability.used"];

/** Free-form maps, whose values are text: there is no field to add to them. */
const maps = new Set(["labels", "config", "requires"]);

/** The same with a field in each of its maps that nobody knows yet. */
function newer<Value>(value: Value): Value {
  if (Array.isArray(value)) return value.map(newer) as Value;
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).map(([key, one]) => [key, maps.has(key) ? one : newer(one)]);
  return { ...Object.fromEntries(fields), fieldOf1dot9: { since: "1.9" } } as Value;
}

/** Base64 of the recording, where the schema makes bytes of it. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, one: unknown) =>
      one instanceof Uint8Array ? Buffer.from(one).toString("base64") : one,
    ),
  );
}

function understood(row: SubjectName, answer: { ok: boolean }): unknown {
  return plain((answer.ok ? (subjects[row].reply as z.ZodType) : Refusal).parse(answer));
}

describe("R11.3, P16: what protocol 1.0 said", () => {
  test.each(byRow)("%s is still asked and answered as it was", (row, said) => {
    for (const { subject, payload, answer } of said) {
      expect(subjectMatches(filterFor(row, {}), subject)).toBe(true);
      expect(plain(validate(row, payload))).toMatchObject(payload);
      if (answer !== undefined) expect(understood(row, answer)).toEqual(answer);
    }
  });

  test("every kind of fact is still understood", () => {
    for (const fact of facts) {
      const row = fact.kind === "node.replay" ? "fact.replay" : "fact";
      expect(subjectMatches(filterFor(row, {}), `wasmatrix.fact.v1.default.${fact.node}.${fact.kind}`)).toBe(
        true,
      );
      expect(validate(row, fact)).toMatchObject(fact);
    }
    const kinds = new Set<string>(facts.map(({ kind }) => kind));
    expect(factKinds.filter((kind) => !kinds.has(kind))).toEqual(later);
  });

  test("a node's life adds up to what the node says of it in the end", () => {
    const heard = viewOf(life.filter(({ kind }) => kind !== "node.replay"));
    const told = viewOf(life.filter(({ kind }) => kind === "node.replay"));
    expect(heard.nodes.get("n1")?.knowledge).toBe("complete");
    expect(heard.nodes.get("n1")?.instances.size).toBeGreaterThan(3);
    // What was refused to instances 1.0 did not tell again.
    for (const instance of heard.nodes.get("n1")?.instances.values() ?? []) delete instance.audit;
    expect(shapeOf(heard.nodes.get("n1"))).toEqual(shapeOf(told.nodes.get("n1")));
  });
});

describe("R11.3: what a newer minor version adds", () => {
  test.each(byRow)("%s: parts carry it along, and people's own requests stay strict", (row, said) => {
    for (const { payload, answer } of said) {
      const asked = newer(payload);
      if (subjects[row].publishers.every((role) => role === "operator"))
        expect(failureFrom(() => validate(row, asked)).code).toBe("INVALID_REQUEST");
      else expect(plain(validate(row, asked))).toMatchObject(asked);
      if (answer !== undefined) expect(understood(row, newer(answer))).toEqual(newer(answer));
    }
  });

  test("is kept by the view, and told again with it", () => {
    const view = viewOf(newer(life.filter(({ kind }) => kind !== "node.replay")));
    const node = view.nodes.get("n1");
    if (node === undefined) throw new Error("no n1");
    expect(node.knowledge).toBe("complete");
    const extra = { fieldOf1dot9: { since: "1.9" } };
    expect(node.joined).toMatchObject(extra);
    const instances = [...node.instances.values()];
    for (const { spec, assignments } of instances) {
      expect(spec).toMatchObject({ ...extra, restartPolicy: extra, limits: extra });
      for (const assignment of assignments.values()) expect(assignment).toMatchObject(extra);
    }
    expect(instances.some(({ assignments }) => assignments.size > 0)).toBe(true);
    expect(instances.find(({ lastCrash }) => lastCrash !== undefined)?.lastCrash).toMatchObject(extra);
    const again = createView("default");
    const { epoch, seq } = node;
    const frame = { lattice: "default", node: "n1", epoch, seq };
    const retold = [...tellAgain(node)].map((saying) => ({ ...frame, ...saying }) as Fact);
    const replay = { ...frame, at: "", kind: "node.replay", replayId: "r", index: 0, count: 1 } as const;
    applyReplay(again, { ...replay, facts: retold }, 0);
    expect(shapeOf(again.nodes.get("n1"))).toEqual(shapeOf(node));
  });

  test("a fact of a kind that is not known counts, changes nothing, and leaves no gap", () => {
    const live = life.filter(({ kind }) => kind !== "node.replay") as Fact[];
    const last = live.findLast(({ node }) => node === "n1") as Fact;
    const younger = { ...last, seq: last.seq + 1, kind: "instance.dreamt", data: { instanceId: "i" } };
    const next = {
      ...last,
      seq: last.seq + 2,
      kind: "module.evicted",
      data: { digest: `sha256:${"0".repeat(64)}` },
    };
    const [before, after] = [viewOf(live), viewOf(live)];
    for (const fact of [younger, next]) applyFact(after, validate("fact", fact) as Fact, 0);
    expect(after.nodes.get("n1")?.seq).toBe(last.seq + 2);
    expect(shapeOf(after.nodes.get("n1"))).toEqual(
      Object.assign({}, shapeOf(before.nodes.get("n1")), { seq: last.seq + 2 }),
    );
  });

  test("is kept of a provider, without what the fact says of the moment", () => {
    const info = { provider: "kv", providerType: "kv", backend: "memory", version: "9", region: "eu" };
    const said = {
      lattice: "default",
      node: "n1",
      epoch: 1,
      seq: 1,
      at: "",
      kind: "provider.failed",
    } as const;
    const view = createView("default");
    applyFact(view, { ...said, seq: 1, kind: "node.joined", data: {} } as never, 0);
    applyFact(view, { ...said, seq: 2, data: { ...info, reason: "broken" } }, 0);
    const provider = view.nodes.get("n1")?.providers.get("kv");
    expect([provider?.info, provider?.reason]).toEqual([info, "broken"]);
    expect([...tellAgain(view.nodes.get("n1") as never)].at(-1)?.data).toEqual({ ...info, reason: "broken" });
  });

  test("keeps the major version; another one, and what is no version, is not ours", () => {
    expect(["1.0", "1.9", "1.12345"].filter((version) => !isOurMajor(version))).toEqual([]);
    expect(
      ["2.0", "0.9", "11.0", "1", "", "1.", "1.0.0", " 1.0", "v1.0", "1e0.0", "__proto__"].filter(isOurMajor),
    ).toEqual([]);
  });
});

function viewOf(said: readonly (Fact | FactReplay)[]): LatticeView {
  const view = createView("default");
  for (const one of said) {
    if (one.kind === "node.replay") applyReplay(view, validate("fact.replay", one) as FactReplay, 0);
    else applyFact(view, validate("fact", one) as Fact, 0);
  }
  return view;
}
