import type { Clock } from "../clock.ts";
import { directoryLimits } from "../limits.ts";
import { Failure } from "../protocol/errors.ts";
import { echo } from "../protocol/ids.ts";

/** etcd's JSON gateway: its gRPC calls as POST requests; keys and values travel in base64, 64-bit numbers as strings. */
export interface EtcdGateway {
  /**
   * Resolves with the answer of the first member that gives one. Rejects with a `Failure`: TIMEOUT,
   * COMMUNICATION_FAILURE, or what etcd says, with its `details.grpcCode`.
   */
  ask(path: string, question: object, options?: AskOptions): Promise<unknown>;
  /** Gives each message of a stream as it comes; ends when etcd ends it, throws as `ask` rejects. */
  listen(path: string, question: object, signal: AbortSignal): AsyncGenerator<unknown, void>;
}

/** `timeoutMs` is for each member; the signal gives the question up. */
export interface AskOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** The code with which etcd says that a lease is not known: gRPC's NOT_FOUND. */
export const grpcNotFound = 5;

/** Speaks to the members of one cluster, each time to the one that answered last. */
export function createEtcdGateway({
  endpoints,
  clock,
}: {
  endpoints: readonly string[];
  clock: Clock;
}): EtcdGateway {
  let current = 0;

  /** Tries each member once; an answer that refuses is an answer. */
  async function firstOf<Answer>(attempt: (endpoint: string) => Promise<Answer>): Promise<Answer> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await attempt(endpoints[current] ?? "");
      } catch (error) {
        const failure = outOfReach(error);
        if (failure.details?.["grpcCode"] !== undefined || tries >= endpoints.length) throw failure;
        current = (current + 1) % endpoints.length;
      }
    }
  }

  /** Sends one request; the deadline is for its first byte where the answer is a stream. */
  async function post<Answer>(
    path: string,
    question: object,
    { timeoutMs = directoryLimits.requestTimeoutMs, signal }: AskOptions,
    read: (response: Response) => Promise<Answer>,
  ): Promise<Answer> {
    const body = JSON.stringify(question);
    return firstOf(async (endpoint) => {
      const late = new AbortController();
      const timer = clock.setTimeout(
        () => late.abort(new Failure("TIMEOUT", `etcd did not answer within ${timeoutMs} ms`)),
        timeoutMs,
      );
      try {
        const response = await fetch(`${endpoint}${path}`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body,
          redirect: "error",
          signal: signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]),
        });
        if (!response.ok) throw refusal(await firstMessage(response).catch(() => undefined), response.status);
        return await read(response);
      } finally {
        clock.clearTimeout(timer);
      }
    });
  }

  return {
    ask: (path, question, options = {}) => post(path, question, options, firstMessage),
    async *listen(path, question, signal) {
      const response = await post(path, question, { signal }, async (opened) => opened);
      try {
        for await (const message of messagesOf(response)) {
          if (typeof message === "object" && message !== null && "error" in message)
            throw refusal(message.error, response.status);
          yield message;
        }
      } catch (error) {
        throw outOfReach(error);
      }
    },
  };
}

/** The first of them: streaming calls that answer one question with one message end after it. */
async function firstMessage(response: Response): Promise<unknown> {
  for await (const message of messagesOf(response)) return message;
  throw new Failure("COMMUNICATION_FAILURE", "etcd gave an empty answer");
}

/** The messages of a body, one a line; a line that grows beyond the limit ends it. */
async function* messagesOf(response: Response): AsyncGenerator<unknown, void> {
  let pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    let rest: Uint8Array = chunk;
    for (let end = rest.indexOf(0x0a); end !== -1; end = rest.indexOf(0x0a)) {
      const line = Buffer.concat([...pieces, rest.subarray(0, end)]).toString();
      pieces = [];
      bytes = 0;
      rest = rest.subarray(end + 1);
      if (line.trim() !== "") yield JSON.parse(line);
    }
    bytes += rest.length;
    if (bytes > directoryLimits.answerBytesMax)
      throw new Failure(
        "PAYLOAD_TOO_LARGE",
        `etcd answers with more than ${directoryLimits.answerBytesMax} bytes`,
      );
    pieces.push(rest);
  }
  const line = Buffer.concat(pieces).toString();
  if (line.trim() !== "") yield JSON.parse(line);
}

/** What etcd said against a request: `{ error, message, code }`, or `{ grpc_code, message }` within a stream. */
function refusal(said: unknown, status: number): Failure {
  const { code, grpc_code: streamed, message } = (said ?? {}) as Record<string, unknown>;
  const grpcCode = typeof code === "number" ? code : streamed;
  const reason = typeof message === "string" ? echo(message) : `status ${status}`;
  return new Failure("COMMUNICATION_FAILURE", `etcd refuses: ${reason}`, {
    details: typeof grpcCode === "number" && status < 500 ? { grpcCode } : {},
  });
}

function outOfReach(error: unknown): Failure {
  if (error instanceof Failure) return error;
  const { message, cause } = error as { message?: string; cause?: { code?: string; message?: string } };
  const reason = cause?.code ?? cause?.message ?? message ?? String(error);
  return new Failure(
    "COMMUNICATION_FAILURE",
    `etcd is out of reach: ${reason.slice(0, directoryLimits.reasonCharactersMax)}`,
    { cause: error },
  );
}
