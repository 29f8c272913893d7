/** Writes `subjects.md` from the subject table: `node scripts/write-subjects.ts [--check]`. */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { factData, factKinds } from "../src/protocol/facts.ts";
import { headers } from "../src/protocol/calls.ts";
import { errorCodes } from "../src/protocol/errors.ts";
import { protocolVersion } from "../src/protocol/version.ts";
import { type Identity, permissionsOf } from "../src/protocol/roles.ts";
import type { SubjectRow } from "../src/protocol/subject-row.ts";
import { type SubjectName, subjects } from "../src/protocol/subjects.ts";
import { commandHeaders } from "../src/trust/command-signature.ts";

const file = path.join(import.meta.dirname, "..", "subjects.md");

const planes: readonly (readonly [string, string, RegExp])[] = [
  ["Commands", "For operators; any control plane of the lattice answers.", /^(ctl\.|other-version$)/],
  ["Node commands", "For control planes; the node itself answers.", /^node\./],
  ["Broadcasts to nodes", "Every node and provider host hears them.", /^nodes\./],
  [
    "Control planes",
    "Among themselves, and what nodes and callers ask of them.",
    /^(plane\.|leave|lost|renew|revoked)/,
  ],
  ["Facts", "What happened. Nothing is acknowledged; gaps in `seq` are asked for.", /^fact/],
  ["Calls, capabilities, bodies, logs", "Bytes of guests, on their way.", /^(call|cap|stream|log)$/],
];

/** The text of `subjects.md` that the present table gives. */
export function subjectsMarkdown(): string {
  const sections = planes.map(([title, says, names]) => {
    const rows = (Object.keys(subjects) as SubjectName[]).filter((name) => names.test(name));
    return `## ${title}\n\n${says}\n\n${rows.map(section).join("\n\n")}`;
  });
  return (
    [
      "# Subjects",
      `Protocol ${protocolVersion}. Written by \`npm run subjects\` from \`src/protocol/subjects.ts\`; edit that one.`,
      "Requests are JSON or MessagePack, told by the first byte; the answer comes in the same form, as `{ ok: true, … }` or `{ ok: false, error }`. Unknown fields of a request are refused, those of an answer are to be ignored. A `?` marks what may be left out; bytes are base64 in JSON.",
      ...sections,
      roleSections(),
      `## Kinds of facts\n\n| Kind | Data |\n|---|---|\n${factKinds.map((kind) => `| \`${kind}\` | ${fields(factData[kind])} |`).join("\n")}`,
      `## Headers of calls\n\n${Object.values(headers)
        .map((name) => `- \`${name}\``)
        .join("\n")}`,
      `## Headers of signed commands\n\nOn a lattice with roots a control plane signs what only control planes may tell nodes and hosts.\n\n${Object.values(
        commandHeaders,
      )
        .map((name) => `- \`${name}\``)
        .join("\n")}`,
      `## Errors\n\n| Code | Meaning | Retry |\n|---|---|---|\n${Object.entries(errorCodes)
        .map(([code, { meaning, retry }]) => `| \`${code}\` | ${meaning} | ${retry} |`)
        .join("\n")}`,
      "",
    ]
      .join("\n\n")
      .trimEnd() + "\n"
  );
}

/** What each role may do, as `wasmatrix auth` has the server enforce it; words in capitals stand for what is an identity's own. */
function roleSections(): string {
  const identity = { id: "ID", lattice: "LATTICE" };
  const withHosts = { ...identity, hosts: ["HOSTED"] };
  const roles: readonly (readonly [string, Identity])[] = [
    ["Operator", { ...identity, role: "operator" }],
    ["Control plane", { ...identity, role: "control-plane" }],
    ["Node", { ...identity, role: "node" }],
    ["Node that may host providers", { ...withHosts, role: "node" }],
    ["Provider", { ...withHosts, role: "provider" }],
    ["Observer", { ...identity, role: "observer" }],
  ];
  const list = (filters: readonly string[]) => filters.map((filter) => `- \`${filter}\``).join("\n");
  const each = roles.map(([title, who]) => {
    const { publish, subscribe } = permissionsOf(who);
    return `### ${title}\n\nPublishes to\n\n${list(publish.allow)}\n\nand subscribes to\n\n${list(subscribe.allow)}`;
  });
  return [
    "## Roles",
    "What the server lets each role do, and nothing else; `wasmatrix auth` derives it from the rows above. Providers of kv, http and blobstore alone may not call guests, nor ask for lost calls. `ID` is an identity's own, `HOSTED` each provider that it may run.",
    ...each,
  ].join("\n\n");
}

function section(name: SubjectName): string {
  const row: SubjectRow = subjects[name];
  const who = `${row.publishers.join(", ")} → ${row.listeners.join(", ")}${row.kind === "queue" ? " (one of them)" : ""}${row.signed === true ? "; signed" : ""}`;
  const lines = [`### \`${row.pattern}\``, `${row.says} ${who}.`];
  if (row.payload !== null) lines.push(`- takes ${fields(row.payload)}`);
  if (row.reply !== null) lines.push(`- answers ${fields(row.reply)}`);
  return lines.join("\n\n").replace("\n\n- answers", "\n- answers");
}

interface Schema {
  type?: string;
  const?: unknown;
  enum?: unknown[];
  properties?: Record<string, Schema>;
  required?: string[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  items?: Schema;
  $ref?: string;
}

function fields(schema: z.ZodType): string {
  const json = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as Schema;
  return (json.anyOf ?? json.oneOf ?? [json]).map(shape).join(" or ");
}

function shape(schema: Schema): string {
  const { properties, required = [] } = schema;
  if (properties === undefined) return "a fact";
  const names = Object.keys(properties).filter((name) => name !== "ok");
  if (names.length === 0) return "nothing";
  return names
    .map((name) => `\`${name}${required.includes(name) ? "" : "?"}\`${typeOf(properties[name] ?? {})}`)
    .join(", ");
}

function typeOf(schema: Schema): string {
  const choices = schema.enum ?? (schema.const === undefined ? undefined : [schema.const]);
  if (choices !== undefined) return ` (${choices.join(" / ")})`;
  if (schema.type === "array") return " []";
  if (schema.type === "integer" || schema.type === "number") return " number";
  if (schema.type === "boolean") return " boolean";
  if (schema.type === "object") return " {}";
  return "";
}

if (import.meta.main) {
  const text = subjectsMarkdown();
  if (!process.argv.includes("--check")) await writeFile(file, text);
  else if ((await readFile(file, "utf8").catch(() => "")) !== text) {
    console.error("subjects.md is stale: run `npm run subjects`");
    process.exitCode = 1;
  }
}
