import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { endWithUs } from "./nats-server.ts";

/** One record as etcd gives it, decoded; `type` is `PUT` or `DELETE`. */
export interface EtcdEvent {
  readonly type: string;
  readonly key: string;
  readonly value: string;
}

/** A real etcd on the loopback address. */
export interface EtcdServer extends AsyncDisposable {
  readonly url: string;
  /** Asks its JSON gateway. */
  ask(path: string, question: object): Promise<Record<string, unknown>>;
  put(key: string, value: string): Promise<void>;
  remove(key: string): Promise<void>;
  /** Every key that is there now, with its value. */
  all(): Promise<Map<string, string>>;
  /** Everything that was ever written or deleted, from the first revision to this moment. */
  history(): Promise<EtcdEvent[]>;
  /** Ends it as a crash would (SIGKILL). */
  kill(): Promise<void>;
  freeze(): void;
  thaw(): void;
  /** Starts it again on the same port, with what it had or with nothing. */
  restart(options?: { empty: boolean }): Promise<void>;
}

/** Starts a cluster of one and resolves once it serves; it ends with this process at the latest. */
export async function startEtcd(): Promise<EtcdServer> {
  const directory = mkdtempSync(join(tmpdir(), "etcd-"));
  const [port, peerPort] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${port}`;
  const peers = `http://127.0.0.1:${peerPort}`;
  let lives = 0;
  const flags = () =>
    Object.entries({
      "data-dir": join(directory, String(lives)),
      "initial-cluster": `default=${peers}`,
      "listen-client-urls": url,
      "advertise-client-urls": url,
      "listen-peer-urls": peers,
      "initial-advertise-peer-urls": peers,
      // Elections after 1 s are for networks.
      "heartbeat-interval": "20",
      "election-timeout": "200",
    }).map(([flag, value]) => `--${flag}=${value}`);
  let running = await launch(flags());

  async function ask(path: string, question: object): Promise<Record<string, unknown>> {
    const response = await fetch(`${url}${path}`, { method: "POST", body: JSON.stringify(question) });
    return (await response.json()) as Record<string, unknown>;
  }

  async function kill(): Promise<void> {
    running.child.kill("SIGKILL");
    await running.exited;
  }

  return {
    url,
    ask,
    async put(key, value) {
      await ask("/v3/kv/put", { key: base64(key), value: base64(value) });
    },
    async remove(key) {
      await ask("/v3/kv/deleterange", { key: base64(key) });
    },
    async all() {
      const { kvs = [] } = (await ask("/v3/kv/range", everything)) as { kvs?: Entry[] };
      return new Map(kvs.map((entry) => [text(entry.key), text(entry.value)]));
    },
    async history() {
      // A write of one's own ends the stream at a known place.
      const end = `/end-of-history/${process.hrtime.bigint()}`;
      await ask("/v3/kv/put", { key: base64(end), value: "" });
      const events: EtcdEvent[] = [];
      const question = { create_request: { ...everything, start_revision: "1" } };
      const response = await fetch(`${url}/v3/watch`, { method: "POST", body: JSON.stringify(question) });
      const lines = Readable.fromWeb(response.body as never);
      for await (const line of createInterface({ input: lines })) {
        const { result } = JSON.parse(line) as { result: { events?: { type?: string; kv: Entry }[] } };
        for (const { type = "PUT", kv } of result.events ?? []) {
          const key = text(kv.key);
          if (key === end) {
            lines.destroy();
            return events;
          }
          if (!key.startsWith("/end-of-history/")) events.push({ type, key, value: text(kv.value) });
        }
      }
      throw new Error("the watch ended early");
    },
    kill,
    freeze: () => void running.child.kill("SIGSTOP"),
    thaw: () => void running.child.kill("SIGCONT"),
    async restart({ empty } = { empty: false }) {
      await kill();
      if (empty) lives += 1;
      running = await launch(flags());
    },
    async [Symbol.asyncDispose]() {
      await kill();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

interface Entry {
  readonly key: string;
  readonly value?: string;
}

const everything = { key: "AA==", range_end: "AA==" };

async function launch(flags: readonly string[]): Promise<{ child: ChildProcess; exited: Promise<void> }> {
  // Version 3.4 refuses to run on arm64 without being told that this is meant.
  const env = { ...process.env, ETCD_UNSUPPORTED_ARCH: process.arch };
  const child = spawn("etcd", flags, { stdio: ["ignore", "ignore", "pipe"], env });
  endWithUs(child);
  const seen: string[] = [];
  const exited = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.once("error", () => resolve());
  });
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stderr }).on("line", (line) => {
      seen.push(line);
      if (/ready to serve client requests/.test(line)) resolve();
    });
    void exited.then(() => reject(new Error(`etcd ended:\n${seen.slice(-20).join("\n")}`)));
  });
  return { child, exited };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

function base64(plain: string): string {
  return Buffer.from(plain).toString("base64");
}

function text(encoded = ""): string {
  return Buffer.from(encoded, "base64").toString();
}
