import { hostCall, hostError } from "./host";
import { MessagePackReader } from "./message-pack-reader";
import { MessagePackWriter } from "./message-pack-writer";

/** One page of keys; `next` is what to pass as `after` for the page behind it, or null at the end. */
export class KeyPage {
  keys: string[] = [];
  next: string | null = null;
}

/**
 * A key-value store behind one assignment. After each operation `error` is null, or says why there is no result; the
 * operation then gave nothing (null, 0, false, no keys).
 */
export class Kv {
  error: string | null = null;

  /** `capabilityId` is the name that the grant has: `store` in `--grant store=kv:read,kv:write`. */
  constructor(readonly capabilityId: string) {}

  /** The value, or null when there is none. Needs `kv:read`. */
  get(key: string): Uint8Array | null {
    const answer = this.ask("get", keyed(key, 1));
    if (answer === null || !seek(answer, "value")) return null;
    if (answer.nil()) return null;
    const value = answer.bin();
    return this.understood(answer) ? value : null;
  }

  /** Needs `kv:write`. */
  set(key: string, value: Uint8Array): void {
    this.ask("set", keyed(key, 2).str("value").bin(value));
  }

  /** Whether there was such a key. Needs `kv:delete`. */
  delete(key: string): bool {
    return this.flag("delete", "deleted", key);
  }

  /** Needs `kv:read`. */
  exists(key: string): bool {
    return this.flag("exists", "exists", key);
  }

  /** Adds `by` in one step, whoever else does so at the same time, and gives the sum. Needs `kv:write`. */
  increment(key: string, by: i64 = 1): i64 {
    const answer = this.ask("increment", keyed(key, 2).str("by").int(by));
    if (answer === null) return 0;
    seek(answer, "value");
    const value = answer.int();
    return this.understood(answer) ? value : 0;
  }

  /** Keys in their order, from the one behind `after`; `limit` 0 leaves the number to the provider. Needs `kv:read`. */
  list(prefix: string = "", limit: i32 = 0, after: string = ""): KeyPage {
    const request = new MessagePackWriter().map(1 + i32(limit > 0) + i32(after !== ""));
    request.str("prefix").str(prefix);
    if (limit > 0) request.str("limit").int(limit);
    if (after !== "") request.str("after").str(after);
    const answer = this.ask("list", request);
    return answer === null ? new KeyPage() : this.page(answer);
  }

  private page(answer: MessagePackReader): KeyPage {
    const page = new KeyPage();
    for (let entries = answer.map(); entries > 0 && answer.ok; entries--) {
      const name = answer.str();
      if (name === "keys") {
        for (let keys = answer.array(); keys > 0 && answer.ok; keys--) page.keys.push(answer.str());
      } else if (name === "next" && !answer.nil()) page.next = answer.str();
      else if (name !== "next") answer.skip();
    }
    return this.understood(answer) ? page : new KeyPage();
  }

  private flag(operation: string, name: string, key: string): bool {
    const answer = this.ask(operation, keyed(key, 1));
    if (answer === null) return false;
    seek(answer, name);
    const value = answer.bool();
    return this.understood(answer) && value;
  }

  private ask(operation: string, request: MessagePackWriter): MessagePackReader | null {
    const answer = hostCall(this.capabilityId, "kv", operation, request.finish());
    this.error = answer === null ? hostError() : null;
    return answer === null ? null : new MessagePackReader(answer);
  }

  private understood(answer: MessagePackReader): bool {
    if (!answer.ok) this.error = "the provider's answer is not of the form that this guest knows";
    return answer.ok;
  }
}

function keyed(key: string, entries: i32): MessagePackWriter {
  return new MessagePackWriter().map(entries).str("key").str(key);
}

/** Moves to the value of `name` in a map; reading after a false finds nothing and clears `ok`. */
function seek(answer: MessagePackReader, name: string): bool {
  for (let entries = answer.map(); entries > 0 && answer.ok; entries--) {
    if (answer.str() === name) return true;
    answer.skip();
  }
  return false;
}
