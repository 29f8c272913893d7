import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Mutant } from "./mutants.ts";

const root = new URL("../../", import.meta.url);

/** The text of the file with the fault in it; throws for a mutant whose place is no longer there exactly once. */
export function mutated({ name, file, find, replace }: Mutant): string {
  const text = readFileSync(new URL(file, root), "utf8");
  const places = text.split(find).length - 1;
  if (places !== 1) throw new Error(`the mutant ${name} is stale: ${file} has its text ${places} times`);
  return text.replace(find, () => replace);
}

/** From now on that file is loaded with the fault in it; call it before anything of the product is imported. */
export function applyMutant(mutant: Mutant): void {
  const source = mutated(mutant);
  const target = pathToFileURL(fileURLToPath(new URL(mutant.file, root))).href;
  registerHooks({
    load(url, context, nextLoad) {
      if (url !== target) return nextLoad(url, context);
      return { format: "module-typescript", source, shortCircuit: true };
    },
  });
}
