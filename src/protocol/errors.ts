/**
 * The one list of failures. `retry` says whether the same request can help: `never` (the request itself is
 * wrong), `later` (the cause passes), `elsewhere` (another node may do it).
 */
export const errorCodes = {
  INVALID_REQUEST: { retry: "never", meaning: "the request does not conform to the protocol" },
  INVALID_MODULE: { retry: "never", meaning: "the bytes are not a guest that can be run here" },
  INSTANCE_NOT_FOUND: { retry: "never", meaning: "no instance of that id or name is known" },
  INSTANCE_EXISTS: { retry: "never", meaning: "an instance of that id exists already" },
  INSTANCE_UNAVAILABLE: { retry: "later", meaning: "the instance is known but is not running now" },
  MODULE_NOT_FOUND: { retry: "never", meaning: "no node in reach holds a module of that digest" },
  NODE_NOT_FOUND: { retry: "never", meaning: "no node of that id is known" },
  NODE_UNAVAILABLE: {
    retry: "elsewhere",
    meaning: "the node is known but does not answer or does not take work",
  },
  PROVIDER_NOT_FOUND: { retry: "never", meaning: "no provider of that name is known" },
  PROVIDER_UNAVAILABLE: { retry: "later", meaning: "the provider is stopped, failed or out of reach" },
  PERMISSION_DENIED: { retry: "never", meaning: "no assignment grants this operation" },
  RESOURCE_EXHAUSTED: { retry: "elsewhere", meaning: "a limit is reached" },
  PAYLOAD_TOO_LARGE: { retry: "never", meaning: "the message exceeds what the bus carries" },
  VERSION_MISMATCH: { retry: "never", meaning: "the peer speaks another major version of the protocol" },
  TIMEOUT: { retry: "later", meaning: "no answer came before the deadline" },
  COMMUNICATION_FAILURE: { retry: "later", meaning: "the bus or the peer could not be reached" },
  GUEST_TRAPPED: { retry: "never", meaning: "the guest ended abnormally during this call" },
  GUEST_ERROR: { retry: "never", meaning: "the guest answered with an error of its own" },
  INTERNAL_ERROR: { retry: "never", meaning: "a bug of ours" },
} as const satisfies Record<string, { retry: Retry; meaning: string }>;

/** Whether, and how, trying again can help. */
export type Retry = "never" | "later" | "elsewhere";

/** A code from the one list. */
export type ErrorCode = keyof typeof errorCodes;

/** An error as it travels: what was wrong, what to do (`fix`), and whether a retry can help. */
export interface ErrorBody {
  code: ErrorCode;
  message: string;
  /** What to do about it, as a sentence or a command. */
  fix?: string;
  details?: Record<string, unknown>;
  /** ISO 8601. */
  timestamp: string;
  retry: Retry;
}

/** What a failure may add to its code and message. */
export interface FailureContext {
  fix?: string;
  details?: Record<string, unknown>;
  retry?: Retry;
  cause?: unknown;
  isAnswer?: boolean;
}

/** An expected failure with a code from the one list. Anything else that is thrown is a bug. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly code: ErrorCode;
  readonly fix: string | undefined;
  readonly details: Record<string, unknown> | undefined;
  readonly retry: Retry;
  /** Whether somebody answered so; a failure that was made here may mean that no answer came. */
  readonly isAnswer: boolean;

  constructor(code: ErrorCode, message: string, context: FailureContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.code = code;
    this.fix = context.fix;
    this.details = context.details;
    this.retry = context.retry ?? errorCodes[code].retry;
    this.isAnswer = context.isAnswer ?? false;
  }
}

/** The travelling form of anything thrown; what is not a {@link Failure} becomes INTERNAL_ERROR. */
export function errorBody(error: unknown, timestamp: string): ErrorBody {
  const failure = asFailure(error);
  return {
    code: failure.code,
    message: failure.message,
    ...(failure.fix === undefined ? {} : { fix: failure.fix }),
    ...(failure.details === undefined ? {} : { details: failure.details }),
    timestamp,
    retry: failure.retry,
  };
}

/** The {@link Failure} that a travelling error stands for. */
export function failureOf(body: ErrorBody): Failure {
  return new Failure(body.code, body.message, {
    ...(body.fix === undefined ? {} : { fix: body.fix }),
    ...(body.details === undefined ? {} : { details: body.details }),
    retry: body.retry,
    isAnswer: true,
  });
}

/** Anything thrown, as a {@link Failure}. */
export function asFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new Failure("INTERNAL_ERROR", `unexpected: ${message}`, {
    fix: "This is a bug of wasmatrix; please report it with the log around this time.",
    cause: error,
  });
}

/** Whether `code` is on the one list. */
export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === "string" && Object.hasOwn(errorCodes, code);
}
