import { z } from "zod";
import type { BusMessage } from "../bus/bus.ts";
import type { LogLine } from "../protocol/calls.ts";
import { decode } from "../protocol/codec.ts";
import { type Fact, FactSchema } from "../protocol/facts.ts";

const LogLineSchema = z.looseObject({
  at: z.string(),
  lattice: z.string(),
  node: z.string(),
  instanceId: z.string(),
  name: z.string().optional(),
  stream: z.enum(["stdout", "stderr", "console"]),
  text: z.string(),
  dropped: z.int().optional(),
});

/** The fact in a message; undefined for parts of a replay, and for what is none. */
export function factOf(message: BusMessage): Fact | undefined {
  return read(FactSchema, message);
}

/** The line of a guest in a message, or undefined. */
export function logLineOf(message: BusMessage): LogLine | undefined {
  return read(LogLineSchema, message) as LogLine | undefined;
}

/** The instance that a fact is about, if it is about one. */
export function instanceIdOf(fact: Fact): string | undefined {
  if ("spec" in fact.data) return (fact.data.spec as { instanceId: string }).instanceId;
  return "instanceId" in fact.data ? (fact.data.instanceId as string) : undefined;
}

function read<Item>(schema: z.ZodType<Item>, message: BusMessage): Item | undefined {
  try {
    const parsed = schema.safeParse(decode(message.data).value);
    return parsed.success ? parsed.data : undefined;
  } catch {
    // Whoever watches is not the one to complain of a stranger's message.
    return undefined;
  }
}
