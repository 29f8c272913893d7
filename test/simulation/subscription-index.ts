import { subjectMatches } from "../support/subject-matches.ts";

/** A subscription as its server knows it. */
export interface Indexed {
  readonly filter: string;
}

/** Finds the subscriptions of a subject; what is found for subjects with wildcards is remembered. */
export interface SubscriptionIndex<One extends Indexed> {
  add(one: One): void;
  remove(one: One): void;
  /** In the order in which they were added. */
  matching(subject: string): readonly One[];
}

/** An index without subscriptions. Inboxes and subjects without wildcards, of which there are many, are looked up. */
export function createSubscriptionIndex<One extends Indexed>(): SubscriptionIndex<One> {
  const exact = new Map<string, Set<One>>();
  const inboxes = new Map<string, Set<One>>();
  const wild = new Set<One>();
  const known = new Map<string, One[]>();

  const shelfOf = ({ filter }: One): [Map<string, Set<One>>, string] | undefined => {
    if (filter.startsWith("_INBOX.")) return [inboxes, filter.slice(0, -1)];
    return filter.includes("*") || filter.includes(">") ? undefined : [exact, filter];
  };

  function addWild(one: One): void {
    if (wild.has(one)) return;
    wild.add(one);
    const beginning = one.filter.slice(0, one.filter.search(/[*>]/));
    for (const [subject, found] of known)
      if (subject.startsWith(beginning) && subjectMatches(one.filter, subject)) found.push(one);
  }

  function removeWild(one: One): void {
    if (!wild.delete(one)) return;
    for (const found of known.values()) {
      const index = found.indexOf(one);
      if (index >= 0) found.splice(index, 1);
    }
  }

  return {
    add(one) {
      const shelf = shelfOf(one);
      if (shelf === undefined) return addWild(one);
      const [map, key] = shelf;
      const those = map.get(key);
      if (those === undefined) map.set(key, new Set([one]));
      else those.add(one);
    },
    remove(one) {
      const shelf = shelfOf(one);
      if (shelf === undefined) return removeWild(one);
      const [map, key] = shelf;
      const those = map.get(key);
      those?.delete(one);
      if (those?.size === 0) map.delete(key);
    },
    matching(subject) {
      if (subject.startsWith("_INBOX."))
        return [...(inboxes.get(subject.slice(0, subject.lastIndexOf(".") + 1)) ?? [])];
      let found = known.get(subject);
      if (found === undefined) {
        found = [...wild].filter(({ filter }) => subjectMatches(filter, subject));
        known.set(subject, found);
      }
      const those = exact.get(subject);
      return those === undefined ? [...found] : [...found, ...those];
    },
  };
}
