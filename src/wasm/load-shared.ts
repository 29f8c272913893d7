import type { SharedModule } from "./cell-messages.ts";
import type { Guest, GuestHost } from "./guests/guest.ts";
import { loadGuest } from "./guests/load-guest.ts";

/** What only components need, 50 ms of loading: it comes with the first one. */
let components: typeof import("./components/component-guest.ts") | undefined;

/** To be awaited before {@link loadShared} for that module. */
export async function prepareToLoad(shared: SharedModule): Promise<void> {
  if (shared.guestKind === "component") components ??= await import("./components/component-guest.ts");
}

/** Brings an instance of what admission made to life. Throws `GuestStillborn` when the guest ends meanwhile. */
export function loadShared(shared: SharedModule, host: GuestHost): Guest {
  if (shared.guestKind !== "component") return loadGuest(shared.guestKind, shared.module, host);
  if (components === undefined) throw new Error("a component was loaded before its thread was prepared");
  return components.createComponentGuest(shared.component, host);
}
