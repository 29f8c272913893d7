import type { Status } from "nats";
import { AuthorizationError, PermissionViolationError } from "nats";
import type { Clock } from "../clock.ts";
import { busLimits } from "../limits.ts";
import type { NatsClient } from "./nats-client.ts";

/** What a client goes through, each told once. */
export interface ClientEvents {
  readonly lost: () => void;
  readonly back: (server: string) => void;
  readonly unauthorized: (reason: string) => void;
  readonly refused: (operation: "publish" | "subscribe", subject: string) => void;
  readonly closed: (reason: string | undefined) => void;
}

/** Reads the statuses of `client` until it is closed: unread they pile up, and a refused publish shows nowhere else. */
export function watchClient(client: NatsClient, clock: Clock, events: ClientEvents): void {
  let lost = false;

  function onStatus(status: Status): void {
    if (status.type === "disconnect") {
      // It also comes for each dial that got no further than the server's greeting.
      if (!lost) events.lost();
      lost = true;
    } else if (status.type === "reconnect") {
      lost = false;
      events.back(status.server);
    } else if (status.type === "staleConnection") {
      destroyStaleSocket(client, clock);
    } else if (status.type === "error") {
      onServerError(status.error, events);
    }
  }

  void (async () => {
    for await (const status of client.status()) onStatus(status);
  })();
  void client.closed().then((error) => events.closed(error instanceof Error ? error.message : undefined));
}

/** With unsent data the client waits until the socket has taken them, which a dead server never lets happen. */
function destroyStaleSocket(client: NatsClient, clock: Clock): void {
  // Held now: by then the client may have another one.
  const { socket } = client.protocol.transport;
  clock.setTimeout(() => void socket?.destroy(), busLimits.staleSocketMs);
}

function onServerError(error: Error, events: ClientEvents): void {
  if (error instanceof AuthorizationError) {
    events.unauthorized(error.message);
  } else if (error instanceof PermissionViolationError) {
    events.refused(error.operation === "publish" ? "publish" : "subscribe", error.subject);
  }
}
