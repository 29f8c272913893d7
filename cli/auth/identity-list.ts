import type { Clock } from "../../src/clock.ts";
import { credsFileOf, type AuthDirectory } from "../../src/trust/auth-directory.ts";
import { duration } from "../render/quantities.ts";
import type { Paint } from "../render/paint.ts";
import { table } from "../render/table.ts";

/** Who may sign in, as `--json` shows it. */
export function identityList({ path, known }: AuthDirectory) {
  return known.identities
    .toSorted((one, other) => `${one.role} ${one.id}`.localeCompare(`${other.role} ${other.id}`, "en"))
    .map(({ role, id, keys, hosts, topics, certificateUntil }) => ({
      role,
      id,
      keys,
      rotating: keys.length > 1,
      ...(hosts === undefined ? {} : { hosts }),
      ...(topics === undefined ? {} : { topics }),
      ...(certificateUntil === undefined ? {} : { certificateUntil }),
      creds: credsFileOf(path, role, id),
    }));
}

/** The same for people. */
export function identityTable(paint: Paint, clock: Clock, directory: AuthDirectory): string {
  const identities = identityList(directory);
  if (identities.length === 0) return paint.dim("nobody yet; wasmatrix auth add <role> <id>");
  const rows = identities.map((one) => [
    one.role,
    paint.bold(one.id),
    one.rotating ? paint.yellow("two, until --finish") : "one",
    (one.hosts ?? []).join(" "),
    (one.topics ?? []).join(" "),
    one.certificateUntil === undefined
      ? ""
      : untilText(paint, Date.parse(one.certificateUntil) - clock.now()),
  ]);
  return table(paint, ["role", "id", "keys", "hosts", "topics", "certificate"], rows);
}

function untilText(paint: Paint, leftMs: number): string {
  return leftMs <= 0 ? paint.red("ended") : `${duration(leftMs)} left`;
}
