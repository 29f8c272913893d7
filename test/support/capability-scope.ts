import type { CapabilityScope } from "../../src/capabilities/capability.ts";

/** On whose behalf a test asks; what it does not say is somebody without permissions of note, and without streams. */
export function capabilityScope(parts: Partial<CapabilityScope> = {}): CapabilityScope {
  return {
    lattice: "test",
    instanceId: "i-1",
    name: parts.instanceId ?? "i-1",
    config: {},
    permissions: [],
    streams: {
      serve() {
        throw new Error("this test serves no streams");
      },
      open() {
        throw new Error("this test opens no streams");
      },
    },
    ...parts,
  };
}
