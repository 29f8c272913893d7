import { InvalidArgumentError } from "commander";
import { keyValue } from "./usage.ts";

/** Collects `key=value` of a flag that may be repeated; a second `route` becomes `route.1`, a third `route.2`. */
export function setting(text: string, before: Record<string, string> = {}): Record<string, string> {
  const [[key, value] = ["", ""]] = Object.entries(keyValue(text));
  const isRoute = key === "route" || key.endsWith(".route");
  if (!isRoute || !Object.hasOwn(before, key)) return { ...before, [key]: value };
  let number = 1;
  while (Object.hasOwn(before, `${key}.${number}`)) number += 1;
  return { ...before, [`${key}.${number}`]: value };
}

/** Collects `key=VARIABLE` of a flag that may be repeated, with the values of those variables: a secret stays out of the list of processes. */
export function settingFrom(
  env: NodeJS.ProcessEnv,
): (text: string, before?: Record<string, string>) => Record<string, string> {
  return (text, before = {}) => {
    const [[key, variable] = ["", ""]] = Object.entries(keyValue(text));
    const value = env[variable];
    if (value === undefined) throw new InvalidArgumentError(`there is no variable ${variable}`);
    return { ...before, [key]: value };
  };
}
