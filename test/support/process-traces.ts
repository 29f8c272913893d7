import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** What processes leave in the system while they run, as Linux tells it. */
export interface ProcessTraces {
  /** The program of each process below the given one, by its command's first word, without folders. */
  readonly programs: readonly string[];
  /** Paths of the regular files that any of them has open for writing. */
  readonly written: readonly string[];
  /** The ports at the other end of their TCP connections. */
  readonly peerPorts: readonly number[];
}

/** The traces of a process and of all its descendants; those that end meanwhile have none. */
export function processTraces(pid: number): ProcessTraces {
  const children = descendantsOf(pid);
  const handles = [pid, ...children].flatMap(handlesOf);
  return {
    programs: children.flatMap((child) => programOf(child) ?? []).toSorted(),
    written: handles.flatMap(({ target, writes }) => (target.startsWith("/") && writes ? [target] : [])),
    peerPorts: peerPortsOf(pid, new Set(handles.map(({ target }) => target))),
  };
}

function descendantsOf(pid: number): number[] {
  const children = gone([], () =>
    readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      gone([], () =>
        readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean).map(Number),
      ),
    ),
  );
  return children.flatMap((child) => [child, ...descendantsOf(child)]);
}

function programOf(pid: number): string | undefined {
  const command = gone("", () => readFileSync(`/proc/${pid}/cmdline`, "utf8"));
  return command.split("\0")[0]?.split("/").at(-1);
}

function handlesOf(pid: number): { target: string; writes: boolean }[] {
  return gone([], () => readdirSync(`/proc/${pid}/fd`)).flatMap((fd) =>
    gone([], () => {
      const target = readlinkSync(`/proc/${pid}/fd/${fd}`);
      const flags = /^flags:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8"))?.[1] ?? "0";
      // The access mode is the last two bits: write only, or both; proc_pid_fdinfo(5).
      return [{ target, writes: (Number.parseInt(flags, 8) & 3) !== 0 }];
    }),
  );
}

/** From the table of proc_net(5): the third column is the other end, the tenth the inode of the socket. */
function peerPortsOf(pid: number, targets: ReadonlySet<string>): number[] {
  return ["tcp", "tcp6"].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, "utf8")
      .trim()
      .split("\n")
      .slice(1)
      .flatMap((line) => {
        const columns = line.trim().split(/\s+/);
        const port = Number.parseInt(columns[2]?.split(":")[1] ?? "0", 16);
        return targets.has(`socket:[${columns[9]}]`) && port !== 0 ? [port] : [];
      }),
  );
}

function gone<Value>(instead: Value, read: () => Value): Value {
  try {
    return read();
  } catch {
    return instead;
  }
}
