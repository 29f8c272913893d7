/**
 * A class for a resource that no guest ever gets: it has the functions of its interface, by the names of generated
 * code, so that a component which imports them can be linked. Each throws `error`, a value of that interface.
 */
export function refusingClass(functionNames: readonly string[], error: unknown): new () => object {
  class Refusing {}
  const refuse = () => {
    throw error;
  };
  for (const name of functionNames) Object.defineProperty(Refusing.prototype, name, { value: refuse });
  return Refusing;
}
