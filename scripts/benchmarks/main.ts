import { parseArgs } from "node:util";
import { type Figure, rounded } from "./figure.ts";
import { benchmarks } from "./table.ts";

const { values, positionals } = parseArgs({
  options: { json: { type: "boolean", default: false }, list: { type: "boolean", default: false } },
  allowPositionals: true,
});
const unknown = positionals.filter((name) => !Object.hasOwn(benchmarks, name));
if (values.list) {
  console.log(Object.keys(benchmarks).join("\n"));
} else if (unknown.length > 0) {
  console.error(`no such benchmark: ${unknown.join(", ")}\nthere are: ${Object.keys(benchmarks).join(", ")}`);
  process.exitCode = 2;
} else {
  for (const name of positionals.length > 0 ? positionals : Object.keys(benchmarks)) await measure(name);
}

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
