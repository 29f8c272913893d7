import { moduleLimits } from "../../limits.ts";
import { invalidModule, quote } from "../admission/invalid-module.ts";

/**
 * Names of core imports, exports and instances are written into the code that is generated for a component, some of
 * them unescaped. Letters, digits and these signs are all that compilers put into them; quotes, backslashes, braces,
 * line ends and the rest never get there.
 */
const coreName = /^[\w .:/@#[\]$+<>=,\-!|~&()?]*$/;

/** A word of a WIT name: it begins with a letter and is all lower or all upper case. */
const word = "(?:[a-z][a-z0-9]*|[A-Z][A-Z0-9]*)";
const label = `${word}(?:-(?:${word}|[0-9][a-z0-9]*|[0-9][A-Z0-9]*))*`;
const version = "@[0-9]+\\.[0-9]+\\.[0-9]+(?:-[0-9A-Za-z.-]+)?(?:\\+[0-9A-Za-z.-]+)?";
const isLabel = new RegExp(`^${label}$`);
const isFunctionName = new RegExp(
  `^(?:${label}|\\[constructor\\]${label}|\\[(?:method|static)\\]${label}\\.${label})$`,
);
const isInterfaceName = new RegExp(`^${label}(?::${label})+(?:/${label})+(?:${version})?$`);

/** Refuses a name of a core module or a core instance that could be more than a name in generated code. */
export function checkCoreName(name: string, offset: number): void {
  if (coreName.test(name) && name !== "__proto__") return;
  throw invalidModule(
    `byte ${offset}: the name ${quote(name)} holds characters that no compiler puts there`,
    {
      fix: "Build the component again; names are letters, digits and signs, without quotes, braces and backslashes.",
      offset,
    },
  );
}

/** Refuses a label of a record, variant, enum, flags or parameter that is not one. */
export function checkLabel(name: string, offset: number): void {
  if (!isLabel.test(name)) throw notWit(name, offset);
}

/** Refuses the name of an import or export that is neither that of a function or type nor that of an interface. */
export function checkExternName(name: string, offset: number): void {
  if (!isFunctionName.test(name) && !isInterfaceName.test(name)) throw notWit(name, offset);
}

function notWit(name: string, offset: number) {
  const shown = quote(name, moduleLimits.quotedCharactersMax);
  return invalidModule(`byte ${offset}: ${shown} is not a name as WIT has them`, {
    fix: "Build the component with a current wit-component; URLs, hashes and WebIDL are not imported here.",
    offset,
  });
}
