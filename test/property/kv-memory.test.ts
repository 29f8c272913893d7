import { createMemoryKv } from "../../src/capabilities/kv/memory.ts";
import { describeKvProperties } from "./kv-histories.ts";

describeKvProperties(
  "memory",
  async () => {
    const kv = createMemoryKv();
    return [kv, kv];
  },
  300,
);
