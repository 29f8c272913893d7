import { expect } from "vitest";

/** What a step of a history asks; `revision` of a swap is chosen when it is its turn. */
export type Step =
  | { operation: "get" | "delete" | "exists" | "get-revision"; key: string }
  | { operation: "set"; key: string; value: Buffer }
  | { operation: "swap"; key: string; value: Buffer; revision: "present" | "past" | "none" | "made up" }
  | { operation: "increment"; key: string; by: number }
  | { operation: "list"; prefix: string; limit: number; after: string | undefined }
  | { operation: "get-many" | "delete-many"; keys: string[] }
  | { operation: "set-many"; entries: { key: string; value: Buffer }[] };

/** A simple store that knows what a real one must answer. */
export interface KvModel {
  /** The revision that a swap names; null for none. */
  choose(key: string, revision: "present" | "past" | "none" | "made up"): string | null;
  /** What the store must answer, with its revision instead of ours; undefined where it must refuse. */
  answer(step: Step, named: string | null): Record<string, unknown> | undefined;
  /** Checks what the store said of a revision against all that it said before. */
  learn(key: string, answer: Record<string, unknown>): void;
  readonly values: ReadonlyMap<string, Buffer>;
}

/** Stands in an expected answer for a revision that the store chooses. */
export const someRevision = expect.stringMatching(/^.{1,64}$/) as string;

/** An empty one. */
export function createKvModel(): KvModel {
  const values = new Map<string, Buffer>();
  /** The present revision of a key, where the store has told it. */
  const present = new Map<string, string>();
  const told = new Map<string, string[]>();

  function put(key: string, value: Buffer): void {
    values.set(key, value);
    present.delete(key);
  }

  function drop(key: string): boolean {
    present.delete(key);
    return values.delete(key);
  }

  const known = (key: string) => (values.has(key) ? (present.get(key) ?? someRevision) : null);

  function answer(step: Step, named: string | null): Record<string, unknown> | undefined {
    switch (step.operation) {
      case "get":
        return { value: values.get(step.key) ?? null };
      case "get-revision":
        return { value: values.get(step.key) ?? null, revision: known(step.key) };
      case "set":
        put(step.key, step.value);
        return {};
      case "swap": {
        const fits = named === null ? !values.has(step.key) : named === present.get(step.key);
        if (!fits) {
          return { swapped: false, value: values.get(step.key) ?? null, revision: known(step.key) };
        }
        put(step.key, step.value);
        return { swapped: true, revision: someRevision };
      }
      case "delete":
        return { deleted: drop(step.key) };
      case "exists":
        return { exists: values.has(step.key) };
      case "increment": {
        const text = values.get(step.key)?.toString("latin1") ?? "0";
        const sum = Number(text) + step.by;
        if (!/^-?(0|[1-9][0-9]{0,15})$/.test(text) || !Number.isSafeInteger(sum)) return undefined;
        put(step.key, Buffer.from(String(sum)));
        return { value: sum };
      }
      case "list":
        return page(values, step);
      case "get-many":
        return { values: step.keys.map((key) => ({ key, value: values.get(key) ?? null })) };
      case "set-many":
        for (const { key, value } of step.entries) put(key, value);
        return {};
      case "delete-many":
        return { deleted: step.keys.filter(drop).length };
    }
  }

  return {
    values,
    answer,
    choose(key, revision) {
      if (revision === "none") return null;
      if (revision === "made up") return "7";
      if (revision === "present") return present.get(key) ?? null;
      return told.get(key)?.findLast((one) => one !== present.get(key)) ?? "7";
    },
    learn(key, { revision }) {
      if (typeof revision !== "string" || revision === present.get(key)) return;
      const before = told.get(key) ?? [];
      expect(before).not.toContain(revision);
      told.set(key, [...before, revision]);
      present.set(key, revision);
    },
  };
}

function page(
  values: ReadonlyMap<string, Buffer>,
  { prefix, limit, after }: { prefix: string; limit: number; after: string | undefined },
) {
  const bytes = (name: string) => Buffer.from(name);
  const wanted = [...values.keys()]
    .filter((name) => name.startsWith(prefix))
    .filter((name) => after === undefined || Buffer.compare(bytes(name), bytes(after)) > 0)
    .toSorted((a, b) => Buffer.compare(bytes(a), bytes(b)));
  const keys = wanted.slice(0, limit);
  return wanted.length > keys.length ? { keys, next: keys.at(-1) } : { keys };
}
