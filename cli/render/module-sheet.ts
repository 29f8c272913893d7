import { basename, extname } from "node:path";
import { isId } from "../../src/protocol/ids.ts";
import { providerTypeOf } from "../../src/protocol/permissions.ts";
import type { ModuleDescription } from "../../src/wasm/describe-module.ts";
import type { Paint } from "./paint.ts";
import { size } from "./quantities.ts";
import { pairs } from "./table.ts";
import { onTerminal } from "./terminal-text.ts";

/** A module in a file, as whoever is to run it wants to see it. */
export interface DescribedFile extends ModuleDescription {
  readonly file: string;
  readonly sizeBytes: number;
  /** The command that starts it with everything that it can use; what stands in angle brackets is to be filled in. */
  readonly start: string;
}

/** Adds what only the command line knows: the file, and how to start it. */
export function describeFile(file: string, sizeBytes: number, described: ModuleDescription): DescribedFile {
  const stem = basename(file, extname(file))
    .replaceAll(/[^A-Za-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "");
  const name = isId(stem) ? ` --name ${stem}` : "";
  const grants = grantsFor(described).map(
    (grant) => ` \\\n  --grant ${/[<?]/.test(grant) ? `'${grant}'` : grant}`,
  );
  return { ...described, file, sizeBytes, start: `wasmatrix start ${file}${name}${grants.join("")}` };
}

/** The sheet that `inspect` prints for a file. */
export function moduleSheet(paint: Paint, module: DescribedFile): string {
  const { kind, imports, operations, permissions, memoryBytesMin } = module;
  const facts: [string, string][] = [
    ["file", `${paint.bold(module.file)}, ${size(module.sizeBytes)}`],
    ["kind", kind],
    ["memory", `${size(memoryBytesMin)} to begin with`],
    ["imports", imports.length === 0 ? "nothing" : imports.map((one) => onTerminal(one)).join("\n")],
    [
      "operations",
      operations === undefined
        ? "any: the guest decides by the name"
        : operations
            .map(({ name, signature = "" }) => `${onTerminal(name)}${paint.dim(onTerminal(signature))}`)
            .join("\n"),
    ],
    [
      "can use",
      permissions.length > 0
        ? permissions.join("\n")
        : kind === "wapc"
          ? "what it is granted: a waPC module does not say what it will ask for"
          : "nothing outside itself",
    ],
  ];
  const width = Math.max(...facts.map(([title]) => title.length));
  const indented = facts.map(([title, value]): [string, string] => [
    title,
    value.replaceAll("\n", `\n${" ".repeat(width + 2)}`),
  ]);
  const how = module.start.includes("--grant") ? "start it with all that it can use" : "start it";
  return `${pairs(paint, indented)}\n\n${paint.dim(how)}\n${module.start}`;
}

function grantsFor({ permissions, operations = [], kind }: ModuleDescription): string[] {
  const byType = Map.groupBy(permissions, providerTypeOf);
  const grants = [...byType].map(([type, list]) =>
    type === "call" ? `${calledInterface(list[0] ?? "")}=call:<name>` : `${type}=${list.join(",")}`,
  );
  const takes = new Set(operations.map(({ name }) => name));
  if (kind === "component" && takes.has("http-request")) grants.push("web=http-server:serve?path=/");
  if (kind === "component" && takes.has("handle-message"))
    grants.push("inbox=msg:subscribe:<topic>?subscriptions=<topic>");
  return grants;
}

/** `call:<acme:greet/greeter>` is linked by the interface's last part. */
function calledInterface(permission: string): string {
  return /([A-Za-z0-9-]+)>$/.exec(permission)?.[1] ?? "peer";
}
