import { existsSync } from "node:fs";
import { runCommand } from "./command.ts";

/** A machine of the campaign: a network namespace, or only an address of the loopback device. */
export interface Host {
  readonly name: string;
  readonly address: string;
  /** What stands before a command line to run it there. */
  readonly prefix: readonly string[];
}

/** Packets of these hosts to those are dropped, all or that share of them. */
export interface Cut {
  readonly from: readonly string[];
  readonly to: readonly string[];
  readonly percent: number;
}

/** The machines and the network between them. */
export interface Hosts extends AsyncDisposable {
  readonly all: ReadonlyMap<string, Host>;
  /** Whether packets can be lost; else why not. */
  readonly network: "namespaces" | { readonly missing: string };
  /** Replaces whatever was cut before; without anything all is whole. */
  cut(cuts: readonly Cut[]): Promise<void>;
}

/** The name of the machine that the campaign itself runs on; its packets can be cut as well. */
export const campaignHost = "campaign";

/**
 * Makes one network namespace per name, joined by a bridge; needs root, iproute2 and nftables. Where that cannot be had
 * the hosts are loopback addresses, and `network` says why.
 */
export async function createHosts(names: readonly string[]): Promise<Hosts> {
  if (process.platform !== "linux") return loopbackHosts(names, "network namespaces are Linux's");
  if (process.getuid?.() !== 0) return loopbackHosts(names, "network namespaces need root");
  await sweep();
  try {
    return await namespaceHosts(names);
  } catch (error) {
    await remove(process.pid);
    return loopbackHosts(names, error instanceof Error ? error.message : String(error));
  }
}

function loopbackHosts(names: readonly string[], missing: string): Hosts {
  // Several campaigns may run on one machine.
  const third = process.pid % 250;
  const all = new Map(
    names.map((name, index) => [
      name,
      { name, address: `127.77.${third}.${index + 10}`, prefix: [] } satisfies Host,
    ]),
  );
  return {
    all,
    network: { missing },
    async cut(cuts) {
      if (cuts.length > 0) throw new Error("the loopback device has no links to cut");
    },
    async [Symbol.asyncDispose]() {},
  };
}

const namespacePrefix = "wasmatrix-chaos-";
// A device's name has at most 15 letters.
const bridgeOf = (pid: number) => `wmxb${pid.toString(36)}`;
const tableOf = (pid: number) => `wasmatrix_chaos_${pid}`;

async function namespaceHosts(names: readonly string[]): Promise<Hosts> {
  const { pid } = process;
  const bridge = bridgeOf(pid);
  const network = await freeNetwork();
  await ip("link", "add", bridge, "type", "bridge");
  await ip("addr", "add", `${network}.1/24`, "dev", bridge);
  await ip("link", "set", bridge, "up");
  const all = new Map<string, Host>();
  for (const [index, name] of names.entries()) {
    const namespace = `${namespacePrefix}${pid}-${name}`;
    const device = `wmx${pid.toString(36)}v${index}`;
    const address = `${network}.${index + 10}`;
    await ip("netns", "add", namespace);
    await ip("link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", namespace);
    await ip("link", "set", device, "master", bridge, "up");
    await ip("-n", namespace, "addr", "add", `${address}/24`, "dev", "eth0");
    await ip("-n", namespace, "link", "set", "eth0", "up");
    await ip("-n", namespace, "link", "set", "lo", "up");
    all.set(name, { name, address, prefix: ["ip", "netns", "exec", namespace] });
  }
  const addresses = new Map([...all.values()].map((host) => [host.name, host.address]));
  addresses.set(campaignHost, `${network}.1`);
  const cut = async (cuts: readonly Cut[]) => {
    await runCommand("nft", ["-f", "-"], ruleset(tableOf(pid), addresses, cuts));
  };
  await cut([]);
  return { all, network: "namespaces", cut, [Symbol.asyncDispose]: () => remove(pid) };
}

/** One transaction that replaces every rule: no packet sees half of them. */
function ruleset(table: string, addresses: ReadonlyMap<string, string>, cuts: readonly Cut[]): string {
  const set = (names: readonly string[]) => `{ ${names.map((name) => addresses.get(name)).join(", ")} }`;
  const rules = cuts.map(({ from, to, percent }) => {
    const share = percent >= 100 ? "" : `numgen random mod 100 < ${percent} `;
    return `ip saddr ${set(from)} ip daddr ${set(to)} ${share}drop`;
  });
  // What a namespace sends passes `prerouting`; what the campaign itself sends passes `output`. None passes both.
  const chain = (hook: string) =>
    `chain ${hook} { type filter hook ${hook} priority -300; policy accept; ${rules.map((rule) => `${rule};`).join(" ")} }`;
  return [
    `table bridge ${table} {}`,
    `delete table bridge ${table}`,
    `table bridge ${table} {\n${chain("prerouting")}\n${chain("output")}\n}`,
    "",
  ].join("\n");
}

async function freeNetwork(): Promise<string> {
  const taken = await ip("-4", "route");
  for (let third = process.pid % 250, tries = 0; tries < 250; third = (third + 1) % 250, tries += 1) {
    if (!taken.includes(`10.231.${third}.`)) return `10.231.${third}`;
  }
  throw new Error("10.231.0.0/16 is in use");
}

/** Removes what campaigns left that were killed. */
async function sweep(): Promise<void> {
  const listed = await ip("netns", "list").catch(() => "");
  const pids = new Set([...listed.matchAll(/^wasmatrix-chaos-(\d+)-/gm)].map(([, pid]) => Number(pid)));
  for (const pid of pids) if (!existsSync(`/proc/${pid}`)) await remove(pid);
}

async function remove(pid: number): Promise<void> {
  const listed = await ip("netns", "list").catch(() => "");
  const mine = [...listed.matchAll(/^(wasmatrix-chaos-(\d+)-\S+)/gm)].filter(
    ([, , of]) => Number(of) === pid,
  );
  for (const [, namespace] of mine) await ip("netns", "del", namespace ?? "").catch(() => undefined);
  await ip("link", "del", bridgeOf(pid)).catch(() => undefined);
  await runCommand("nft", ["delete", "table", "bridge", tableOf(pid)]).catch(() => undefined);
}

function ip(...args: string[]): Promise<string> {
  return runCommand("ip", args);
}
