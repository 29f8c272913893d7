import type { Client, Target } from "../src/client/client.ts";
import { Failure } from "../src/protocol/errors.ts";
import { collect } from "./collect.ts";

/** What an operator's word means: the instance of that id, or else all of that name. INSTANCE_NOT_FOUND if neither. */
export async function resolveTarget(client: Client, word: string): Promise<Target> {
  for (const target of [{ instanceId: word }, { name: word }]) {
    if ((await firstOf(client, target)) !== undefined) return target;
  }
  throw notFound(word);
}

/** The ids that an operator's word means. */
export async function resolveIds(client: Client, word: string): Promise<string[]> {
  const target = await resolveTarget(client, word);
  const instances = await collect(client.list({ ...target, all: true }));
  return instances.map((instance) => instance.instanceId);
}

async function firstOf(client: Client, target: Target): Promise<string | undefined> {
  try {
    for await (const instance of client.list({ ...target, all: true })) return instance.instanceId;
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== "INSTANCE_NOT_FOUND") throw error;
  }
  return undefined;
}

function notFound(word: string): Failure {
  return new Failure("INSTANCE_NOT_FOUND", `no instance has the id or name ${word}`, {
    fix: "`wasmatrix ps --all` lists those that there are.",
    details: { target: word },
  });
}
