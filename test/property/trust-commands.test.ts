import fc from "fast-check";
import { expect, test } from "vitest";
import { signedCommandLimits } from "../../src/limits.ts";
import { subjectFor } from "../../src/protocol/addresses.ts";
import type { SubjectRow } from "../../src/protocol/subject-row.ts";
import { type SubjectName, subjects } from "../../src/protocol/subjects.ts";
import { issueCertificate } from "../../src/trust/certificate.ts";
import { nodeOfCommand, signedRows } from "../../src/trust/command-rows.ts";
import { checkCommand, commandHeaders, signCommand } from "../../src/trust/command-signature.ts";
import { generateKeyPair, signingKeyFrom } from "../../src/trust/keys.ts";
import { createProofKeys } from "../../src/trust/proof-keys.ts";
import { createSeenNonces } from "../../src/trust/seen-nonces.ts";

const nowMs = 1_800_000_000_000;
const epoch = 1_799_999_000_000;
const root = generateKeyPair();
const secondRoot = generateKeyPair();
const signer = generateKeyPair();
const key = signingKeyFrom(signer.seed);
const claims = { lattice: "default", controlPlane: "cp", key: signer.key, until: "2099-01-01T00:00:00Z" };
const certificate = issueCertificate(signingKeyFrom(root.seed), claims);

interface Sent {
  subject: string;
  data: Uint8Array;
  headers: Record<string, string>;
}
const { windowMs } = signedCommandLimits;

/** A node with what it remembers. */
function receiver(at: { nowMs?: number; epoch?: number } = {}) {
  const keys = createProofKeys({ lattice: "default", roots: [root.key, secondRoot.key] });
  const node = { keys, seen: createSeenNonces(), epoch, nowMs, ...at };
  return ({ subject, data, headers }: Sent) => {
    const outcome = checkCommand({ subject, data, header: (name) => headers[name] }, node);
    return "reason" in outcome ? outcome.reason : "taken";
  };
}

const id = fc.stringMatching(/^[A-Za-z0-9]{1,8}$/);
const command = fc
  .record({
    row: fc.constantFrom(...signedRows),
    node: id,
    data: fc.uint8Array({ maxLength: 64 }),
    offMs: fc.integer({ min: -windowMs, max: windowMs }),
  })
  .map(({ row, node, data, offMs }): Sent => {
    const subject = subjectFor(row, { lattice: "default", node });
    const at = nowMs + offMs;
    return {
      subject,
      data,
      headers: signCommand({ key, certificate }, { subject, data, epoch, nowMs: at }),
    };
  });

test("P16: every row that control planes alone may ask of nodes and hosts is signed, and no other", () => {
  const expected = (Object.keys(subjects) as SubjectName[]).filter((name) => {
    const { publishers, listeners, kind } = subjects[name] as SubjectRow;
    const fromPlanes = publishers.every((role) => role === "control-plane");
    return kind === "request" && fromPlanes && listeners.includes("node") && name !== "node.node.ping";
  });
  expect(signedRows).toEqual(expected);
  expect(signedRows.length).toBeGreaterThan(12);
  for (const row of Object.keys(subjects) as SubjectName[]) {
    if (row === "other-version") continue;
    const parameters = Object.fromEntries(
      [...subjects[row].pattern.matchAll(/\{(\w+)\}/g)].map(([, name]) => [name, "x1"]),
    );
    const node = nodeOfCommand(subjectFor(row, parameters));
    expect([row, node]).toEqual([row, signedRows.includes(row) ? "x1" : undefined]);
  }
});

test("P4, P16: a command counts once, for the life and the time that it was signed for", () => {
  fc.assert(
    fc.property(command, (sent) => {
      const take = receiver();
      expect([take(sent), take(sent), take(sent)]).toEqual(["taken", "replayed", "replayed"]);
      expect(receiver({ epoch: epoch + 1 })(sent)).toBe("other-life");
      const late = Number(sent.headers[commandHeaders.time]) + windowMs + 1;
      expect(receiver({ nowMs: late })(sent)).toBe("out-of-time");
      expect(receiver({ nowMs: late - 2 * windowMs - 2 })(sent)).toBe("out-of-time");
    }),
    { numRuns: 200 },
  );
});

test("P4, P16: a command with anything about it changed is refused, and what was sent is taken after all", () => {
  const changes = fc.oneof(
    fc.record({ what: fc.constant("data" as const), by: fc.uint8Array({ maxLength: 64 }) }),
    fc.record({ what: fc.constant("node" as const), by: id }),
    fc.record({ what: fc.constant("row" as const), by: fc.constantFrom(...signedRows) }),
    fc.record({
      what: fc.constantFrom(...Object.values(commandHeaders)),
      by: fc.oneof(fc.constant(undefined), fc.nat({ max: 400 }), fc.string({ maxLength: 40 })),
    }),
  );
  fc.assert(
    fc.property(command, changes, (sent, change) => {
      const changed = changedBy(sent, change as Change);
      fc.pre(!isSame(changed, sent));
      const take = receiver();
      expect(take(changed)).not.toBe("taken");
      expect(take(sent)).toBe("taken");
    }),
    { numRuns: 500 },
  );
});

test("P4: a signer counts only under a certificate of a root for this lattice that has not ended", () => {
  const stranger = generateKeyPair();
  const certified = (by: { seed: string }, more: object) =>
    issueCertificate(signingKeyFrom(by.seed), { ...claims, ...more });
  const cases = fc.constantFrom(
    [certified(root, {}), "taken"],
    [certified(secondRoot, {}), "taken"],
    [certified(stranger, {}), "unknown-certificate"],
    [certified(root, { lattice: "other" }), "unknown-certificate"],
    [certified(root, { key: stranger.key }), "bad-signature"],
    [certified(root, { until: new Date(nowMs).toISOString() }), "ended-certificate"],
    ["", "unknown-certificate"],
  );
  fc.assert(
    fc.property(command, cases, (sent, [shown, expected]) => {
      const headers = { ...sent.headers, [commandHeaders.certificate]: shown ?? "" };
      expect(receiver()({ ...sent, headers })).toBe(expected);
    }),
    { numRuns: 200 },
  );
});

test("P4: with however little room, no nonce is taken twice while its time would let it in", () => {
  const steps = fc.array(
    fc.record({
      nonce: fc.nat({ max: 12 }),
      laterMs: fc.integer({ min: 0, max: 6 }),
      offMs: fc.integer({ min: -10, max: 10 }),
    }),
    { maxLength: 80 },
  );
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 5 }), (all, room) => {
      const seen = createSeenNonces(10, room);
      // A nonce belongs to one command, which has one time.
      const signedAt = new Map<number, number>();
      const taken = new Set<number>();
      let now = 1_000;
      for (const { nonce, laterMs, offMs } of all) {
        now += laterMs;
        const at = signedAt.get(nonce) ?? now + offMs;
        signedAt.set(nonce, at);
        if (Math.abs(now - at) > 10) continue;
        if (!seen.take(String(nonce), at, now)) continue;
        expect(taken.has(nonce)).toBe(false);
        taken.add(nonce);
      }
    }),
    { numRuns: 1_000 },
  );
});

type Change = { what: "data"; by: Uint8Array } | { what: string; by: string | number | undefined };

function changedBy(sent: Sent, { what, by }: Change): Sent {
  const tokens = sent.subject.split(".");
  if (by instanceof Uint8Array) return { ...sent, data: by };
  if (what === "node") return { ...sent, subject: tokens.with(4, String(by)).join(".") };
  if (what === "row")
    return { ...sent, subject: subjectFor(by as SubjectName, { lattice: "default", node: tokens[4] ?? "" }) };
  const { [what]: before = "", ...headers } = sent.headers;
  if (by === undefined) return { ...sent, headers };
  if (typeof by === "string") return { ...sent, headers: { ...headers, [what]: by } };
  // A number changes one character.
  const place = by % before.length;
  const flipped = before.slice(0, place) + (before[place] === "1" ? "2" : "1") + before.slice(place + 1);
  return { ...sent, headers: { ...headers, [what]: flipped } };
}

function isSame(one: Sent, other: Sent): boolean {
  const plain = ({ subject, data, headers }: Sent) =>
    JSON.stringify([subject, [...data], Object.values(commandHeaders).map((name) => headers[name] ?? null)]);
  return plain(one) === plain(other);
}
