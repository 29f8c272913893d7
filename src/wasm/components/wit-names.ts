/** A WIT name as generated code has it: `some-thing` is `someThing`, `HTTP-error` is `httpError`. */
export function camelCase(name: string): string {
  const [first = "", ...others] = name.toLowerCase().split("-");
  return first + others.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join("");
}
