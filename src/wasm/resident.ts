import type { BusMessage, Subscription } from "../bus/bus.ts";
import { respondFailure } from "../bus/guest-answers.ts";
import { filterFor, subjectFor } from "../protocol/addresses.ts";
import { encode } from "../protocol/codec.ts";
import { Failure } from "../protocol/errors.ts";
import type { Crash } from "../protocol/instance-spec.ts";
import type { SharedModule } from "./cell-messages.ts";
import type { CellParts, Resident } from "./cell-parts.ts";
import type { GuestSpec } from "./engine.ts";
import { createGrants, type GrantsOptions } from "./grants.ts";
import { type CallInProgress, createGuestHost, noteIncoming } from "./guest-host.ts";
import { createGuestLog } from "./guest-log.ts";
import type { Guest, GuestEnd } from "./guests/guest.ts";
import { guestEnd } from "./guests/guest-faults.ts";
import { loadShared } from "./load-shared.ts";

/**
 * Makes an instance callable. Its guest is made at the first call, works on one message at a time, and is thrown
 * away when it ends; nothing of it is kept.
 */
export function createResident(
  parts: CellParts,
  slot: number,
  spec: GuestSpec,
  shared: SharedModule,
): Resident {
  const { bus, clock, marks, runQueue, lattice, nodeId } = parts;
  const { instanceId, name, limits } = spec;
  const mailbox: BusMessage[] = [];
  const subscriptions: Subscription[] = [];
  const label = name ?? instanceId;
  const watching: GrantsOptions = {
    tell: (use) => parts.used(instanceId, use),
    isAudited: spec.audit === true,
  };
  let grants = createGrants(label, spec.capabilities, watching);
  let guest: Guest | undefined;
  /** The call whose guest may be suspended; undefined between calls, and where the module cannot suspend. */
  let inProgress: CallInProgress | undefined;
  let stopping: (() => void) | undefined;
  let gone = false;

  const log = createGuestLog(
    clock,
    { lattice, node: nodeId, instanceId, ...(name === undefined ? {} : { name }) },
    (line) => {
      if (bus.connected)
        bus.publish(subjectFor("log", { lattice, node: nodeId, instance: instanceId }), encode(line, "json"));
    },
  );

  const hostFor = (isCurrent: () => boolean) =>
    createGuestHost(parts, {
      slot,
      spec,
      log,
      grants: () => grants,
      inProgress: () => inProgress,
      isCurrent,
    });

  const onMessage = (message: BusMessage) => {
    if (gone) return refuse(message, endedBefore());
    if (inProgress === undefined) return run(message);
    if (mailbox.length < limits.mailbox) {
      mailbox.push(message);
      return;
    }
    refuse(
      message,
      new Failure("RESOURCE_EXHAUSTED", `the mailbox of ${label} is full: ${limits.mailbox} calls wait`, {
        fix: "Call less at a time, or start more instances of that name.",
        retry: "later",
      }),
    );
  };

  const run = (message: BusMessage) => {
    const operation = message.subject.slice(message.subject.lastIndexOf(".") + 1);
    if (parts.suspended.size >= parts.suspendedCallsMax && shared.maySuspend) {
      return refuse(
        message,
        new Failure("RESOURCE_EXHAUSTED", "too many calls of this cell wait for providers", {
          retry: "later",
        }),
      );
    }
    if (shared.maySuspend) {
      inProgress = { message, operation, untilMs: clock.now() + limits.timeoutMs, isAnswered: false };
    }
    noteIncoming(grants, operation, message);
    let result: Uint8Array | Promise<Uint8Array>;
    const before = marks.enter(slot);
    try {
      if (!spec.reuse) discard();
      guest ??= bringToLife();
      if (guest.fuel !== undefined) guest.fuel.value = limits.fuel;
      result = guest.call(operation, message.data);
    } catch (error) {
      inProgress = undefined;
      return failed(message, operation, error);
    } finally {
      marks.leave(before);
    }
    if (result instanceof Promise) return wait(message, operation, result, guest);
    inProgress = undefined;
    answer(message, result);
  };

  const bringToLife = (): Guest => {
    let self: Guest | undefined;
    self = loadShared(
      shared,
      hostFor(() => guest === self),
    );
    return self;
  };

  const wait = (message: BusMessage, operation: string, result: Promise<Uint8Array>, ofGuest: Guest) => {
    parts.suspended.add(resident);
    result.then(
      (bytes) => {
        runQueue.rested(slot);
        if (guest !== ofGuest) return;
        rest();
        answer(message, bytes);
        next();
      },
      (error: unknown) => {
        runQueue.rested(slot);
        if (guest !== ofGuest) return;
        rest();
        failed(message, operation, error);
        next();
      },
    );
  };

  const rest = () => {
    inProgress = undefined;
    parts.suspended.delete(resident);
  };

  const next = () => {
    // A loop, not a recursion: guests that answer at once would nest as deep as the mailbox is long.
    while (inProgress === undefined && !gone) {
      const message = mailbox.shift();
      if (message === undefined) break;
      run(message);
    }
    if (inProgress === undefined && mailbox.length === 0) stopping?.();
  };

  const answer = (message: BusMessage, bytes: Uint8Array) => {
    try {
      message.respond(bytes);
    } catch (error) {
      refuse(message, error);
    }
  };

  const failed = (message: BusMessage, operation: string, error: unknown) => {
    if (error instanceof Failure) return refuse(message, error);
    end(
      message,
      operation,
      guest === undefined ? guestEnd(error, { fuel: undefined, grown: undefined }) : guest.endOf(error),
    );
  };

  /** The guest is broken: its caller and those who waited are told, and so is whoever restarts it. */
  const end = (
    message: BusMessage,
    operation: string,
    why: GuestEnd | { type: "deadline"; message: string },
  ) => {
    const at = new Date(clock.now()).toISOString();
    const backtrace = "backtrace" in why && why.backtrace.length > 0 ? { backtrace: [...why.backtrace] } : {};
    const crash: Crash = { reason: why.type, message: why.message, operation, at, ...backtrace };
    leave();
    refuse(
      message,
      new Failure(
        why.type === "deadline" ? "TIMEOUT" : "GUEST_TRAPPED",
        `${label} ended during ${operation}: ${why.message}`,
        {
          fix: `See what happened: wasmatrix inspect ${instanceId}`,
          details: { reason: why.type, ...backtrace },
        },
      ),
    );
    parts.crashed(instanceId, crash);
  };

  /** What the guest has under way ends with it. */
  const discard = () => {
    const former = guest;
    guest = undefined;
    former?.dispose?.();
  };

  const leave = () => {
    gone = true;
    discard();
    rest();
    // Drained: those that are on their way here already would otherwise wait for their timeouts.
    for (const subscription of subscriptions) void subscription.drain();
    for (const waiting of mailbox.splice(0)) refuse(waiting, endedBefore());
    stopping?.();
  };

  const endedBefore = () =>
    new Failure("INSTANCE_UNAVAILABLE", `${label} ended before this call began`, {
      fix: "Nothing was done: repeat the call.",
      details: { safeToRepeat: true },
    });

  const refuse = (message: BusMessage, error: unknown) => respondFailure(message, error, clock.now());

  // A queue too: while an instance moves, its two copies must not both answer.
  subscriptions.push(
    bus.subscribe(filterFor("call", { lattice, target: instanceId }), onMessage, { queue: instanceId }),
  );
  if (name !== undefined) {
    subscriptions.push(
      bus.subscribe(filterFor("call", { lattice, target: name }), onMessage, { queue: name }),
    );
  }

  const resident: Resident = {
    slot,
    grant(assignments) {
      grants = createGrants(label, assignments, watching);
    },
    async stop() {
      await Promise.all(subscriptions.map((subscription) => subscription.drain()));
      if (inProgress !== undefined || mailbox.length > 0) {
        await new Promise<void>((resolve) => {
          stopping = resolve;
        });
      }
      gone = true;
      discard();
    },
    unanswered() {
      return inProgress === undefined || inProgress.isAnswered
        ? [...mailbox]
        : [inProgress.message, ...mailbox];
    },
    checkDeadline(nowMs) {
      if (inProgress === undefined || nowMs < inProgress.untilMs) return;
      const { message, operation } = inProgress;
      end(message, operation, {
        type: "deadline",
        message: `the call took longer than ${limits.timeoutMs} ms`,
      });
    },
  };
  return resident;
}
