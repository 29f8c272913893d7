import type { GuestHost } from "../../guests/guest.ts";

/** `wasi:config`, under its present name and its former one: what the guest's start command gave, and nothing else. */
export function configInterfaces({ config }: GuestHost) {
  const store = {
    get: (key: string) => (Object.hasOwn(config, key) ? config[key] : undefined),
    getAll: () => Object.entries(config),
  };
  return { "wasi:config/store": store, "wasi:config/runtime": store };
}
