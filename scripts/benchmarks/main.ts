import { readCommandLine } from "../command-line.ts";
import { type Figure, rounded } from "./figure.ts";
import { benchmarks } from "./table.ts";

const names = Object.keys(benchmarks);
const {
  given: { values, positionals },
  refuse,
} = readCommandLine("usage: scripts/bench [--json] [--list] [<benchmark> …]", {
  options: { json: { type: "boolean", default: false }, list: { type: "boolean", default: false } },
  allowPositionals: true,
});
const unknown = positionals.filter((name) => !names.includes(name));
if (unknown.length > 0) refuse(`no such benchmark: ${unknown.join(", ")}\nthere are: ${names.join(", ")}`);
if (values.list) console.log(names.join("\n"));
else for (const name of positionals.length > 0 ? positionals : names) await measure(name);

/** One that fails says so and does not keep the others from being measured. */
async function measure(name: string): Promise<void> {
  try {
    const figure = await benchmarks[name]?.run(name);
    if (figure !== undefined) console.log(values.json ? JSON.stringify(compact(figure)) : line(figure));
  } catch (error) {
    console.error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}

function compact(figure: Figure): Figure {
  const { baseline, ratio } = figure;
  return {
    ...figure,
    value: rounded(figure.value),
    ...(baseline === undefined ? {} : { baseline: rounded(baseline) }),
    ...(ratio === undefined ? {} : { ratio: Number(ratio.toFixed(3)) }),
  };
}

function line(figure: Figure): string {
  const { name, value, unit, baseline, ratio, note } = figure;
  const number = (one: number) => rounded(one).toLocaleString("en");
  const against = baseline === undefined ? "" : `  against ${number(baseline)}: ${ratio?.toFixed(2)} ×`;
  return `${name.padEnd(24)}${`${number(value)} ${unit}`.padStart(18)}${against}${note === undefined ? "" : `\n    ${note}`}`;
}
