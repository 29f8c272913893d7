import { parseArgs, type ParseArgsConfig } from "node:util";

/** What a script was called with; each misuse ends the process with exit code 2, and `--help` with 0. */
export interface CommandLine<Config extends ParseArgsConfig> {
  readonly given: ReturnType<typeof parseArgs<Config>>;
  /** A whole number between the two. */
  readonly whole: (text: string, min: number, max: number) => number;
  readonly refuse: (what: string) => never;
}

/** Reads the arguments of a script; `usage` is one line. */
export function readCommandLine<const Config extends ParseArgsConfig>(
  usage: string,
  config: Config,
): CommandLine<Config> {
  const refuse = (what: string): never => {
    console.error(`${usage}\n${what}`);
    return process.exit(2);
  };
  if (process.argv.includes("--help")) {
    console.log(usage);
    process.exit(0);
  }
  return {
    given: parsed(config, refuse),
    whole(text, min, max) {
      const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
      return number >= min && number <= max
        ? number
        : refuse(`${text} is not a number from ${min} to ${max}`);
    },
    refuse,
  };
}

function parsed<Config extends ParseArgsConfig>(config: Config, refuse: (what: string) => never) {
  try {
    return parseArgs(config);
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}
