import type { Clock } from "../../clock.ts";
import { registryLimits } from "../../limits.ts";
import { Failure } from "../../protocol/errors.ts";

/** What a server answered; its body is read once, or discarded. */
export interface HttpAnswer {
  readonly status: number;
  header(name: string): string | undefined;
  /** The whole body; COMMUNICATION_FAILURE when it is longer, or takes too long. */
  bytes(bytesMax: number): Promise<Uint8Array>;
  /** As it comes; COMMUNICATION_FAILURE when it breaks off or stalls. */
  chunks(): AsyncGenerator<Uint8Array, void>;
  discard(): void;
}

/** Where requests may go, and by whose time. */
export interface HttpOptions {
  readonly clock: Clock;
  /** Whether a host may be spoken to in plain HTTP. */
  readonly mayBePlain: (url: URL) => boolean;
}

/**
 * Gets a URL and follows redirects. `Authorization` is for the host that was asked, and is not shown to another that it
 * redirects to. COMMUNICATION_FAILURE names hosts alone: URLs may carry signatures.
 */
export async function get(
  from: URL,
  headers: Readonly<Record<string, string>>,
  options: HttpOptions,
): Promise<HttpAnswer> {
  let url = from;
  let sent: Record<string, string> = { ...headers, "accept-encoding": "identity" };
  for (let redirects = 0; redirects <= registryLimits.redirectsMax; redirects += 1) {
    assertScheme(url, options);
    const answer = await send(url, sent, options);
    const location = answer.header("location");
    if (answer.status < 300 || answer.status >= 400 || location === undefined) return answer;
    answer.discard();
    const next = URL.parse(location, url);
    if (next === null) throw unreachable(url, "it redirects to what is no URL");
    if (next.origin !== url.origin) {
      const { authorization: _, ...others } = sent;
      sent = others;
    }
    url = next;
  }
  throw unreachable(url, `it redirects more than ${registryLimits.redirectsMax} times`);
}

/** Whether something at that origin speaks TLS. */
export async function speaksTls(host: string, clock: Clock): Promise<boolean> {
  const over = new AbortController();
  const timer = clock.setTimeout(() => over.abort(), registryLimits.probeMs);
  try {
    const response = await fetch(`https://${host}/v2/`, { signal: over.signal, redirect: "manual" });
    await response.body?.cancel();
    return true;
  } catch {
    return false;
  } finally {
    clock.clearTimeout(timer);
  }
}

async function send(url: URL, headers: Record<string, string>, { clock }: HttpOptions): Promise<HttpAnswer> {
  const over = new AbortController();
  const within = async <Result>(ms: number, work: Promise<Result>): Promise<Result> => {
    const timer = clock.setTimeout(() => over.abort(new Error(`silent for ${ms} ms`)), ms);
    try {
      return await work;
    } catch (error) {
      if (error instanceof Failure) throw error;
      throw unreachable(url, over.signal.aborted ? String(over.signal.reason?.message) : reasonOf(error));
    } finally {
      clock.clearTimeout(timer);
    }
  };
  const response = await within(
    registryLimits.requestMs,
    fetch(url, { headers, redirect: "manual", signal: over.signal }),
  );
  const discard = () => over.abort(new Error("it is not needed"));
  async function* chunks(): AsyncGenerator<Uint8Array, void> {
    const reader = response.body?.getReader();
    if (reader === undefined) return;
    try {
      for (;;) {
        const { done, value } = await within(registryLimits.stallMs, reader.read());
        if (done) return;
        yield value;
      }
    } finally {
      discard();
    }
  }
  return {
    status: response.status,
    header: (name) => response.headers.get(name) ?? undefined,
    chunks,
    discard,
    bytes(bytesMax) {
      const read = async () => {
        const parts: Uint8Array[] = [];
        let length = 0;
        for await (const chunk of chunks()) {
          length += chunk.length;
          if (length > bytesMax) throw unreachable(url, `its answer is longer than ${bytesMax} bytes`);
          parts.push(chunk);
        }
        return new Uint8Array(Buffer.concat(parts));
      };
      return within(registryLimits.requestMs, read());
    },
  };
}

function assertScheme(url: URL, { mayBePlain }: HttpOptions): void {
  if (url.username !== "" || url.password !== "") throw unreachable(url, "its URL carries credentials");
  if (url.protocol === "https:" || (url.protocol === "http:" && mayBePlain(url))) return;
  throw new Failure("COMMUNICATION_FAILURE", `${url.host} would be spoken to without encryption`, {
    fix: `Serve it over HTTPS, or start nodes with --insecure-registry ${url.host}.`,
    retry: "elsewhere",
  });
}

function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: { code?: string; message?: string } };
  return cause?.code ?? "the connection failed";
}

function unreachable(url: URL, reason: string): Failure {
  return new Failure("COMMUNICATION_FAILURE", `${url.host}: ${reason}`, {
    fix: "Check that the host is right and that the node reaches it.",
    retry: "elsewhere",
  });
}
