import { fail, register } from "./guest";
import { MessagePackReader } from "./message-pack-reader";
import { MessagePackWriter } from "./message-pack-writer";
import { bytes, text } from "./text";

/** One request that came in over HTTP. */
export class HttpRequest {
  /** In capitals, as it was sent. */
  method: string = "";
  scheme: string = "";
  /** The host that was asked, with its port where one was given. */
  authority: string = "";
  /** Without its query, not decoded. */
  path: string = "";
  /** What follows the question mark. */
  query: string = "";
  body: Uint8Array = new Uint8Array(0);
  /** Whether `body` is all of it. Longer ones than 64 KiB arrive as a stream, which a waPC guest cannot read. */
  isWhole: bool = true;
  /** Names, in lower case, and values in turn. */
  private fields: string[] = [];

  /** The first value of a header, or null; `name` in lower case. */
  header(name: string): string | null {
    for (let index = 0; index < this.fields.length; index += 2) {
      if (this.fields[index] === name) return this.fields[index + 1];
    }
    return null;
  }

  /** Null for what is not the message of a request. */
  static read(payload: Uint8Array): HttpRequest | null {
    const message = new MessagePackReader(payload);
    const request = new HttpRequest();
    for (let entries = message.map(); entries > 0 && message.ok; entries--) {
      const field = message.str();
      if (field === "method") request.method = message.str();
      else if (field === "scheme") request.scheme = message.str();
      else if (field === "authority") request.authority = message.str();
      else if (field === "path") request.target = message.str();
      else if (field === "headers") request.readHeaders(message);
      else if (field === "body") request.body = message.bin();
      else {
        if (field === "stream") request.isWhole = false;
        message.skip();
      }
    }
    return message.ok ? request : null;
  }

  private set target(value: string) {
    const mark = value.indexOf("?");
    this.path = mark < 0 ? value : value.substring(0, mark);
    this.query = mark < 0 ? "" : value.substring(mark + 1);
  }

  private readHeaders(message: MessagePackReader): void {
    for (let count = message.array(); count > 0 && message.ok; count--) {
      message.array();
      this.fields.push(message.str());
      // A value that is not ASCII comes as bytes.
      this.fields.push(text(message.bin()));
    }
  }
}

/** An answer to a request; the server adds the length and the date. */
export class HttpResponse {
  private fields: string[] = [];
  private content: Uint8Array = new Uint8Array(0);

  constructor(readonly status: i32) {}

  /** Adds a header; a name may come more than once. */
  header(name: string, value: string): HttpResponse {
    this.fields.push(name);
    this.fields.push(value);
    return this;
  }

  /** Sets the body and its type. */
  body(type: string, content: Uint8Array): HttpResponse {
    this.content = content;
    return this.header("content-type", type);
  }

  /** The same for text. */
  text(content: string): HttpResponse {
    return this.body("text/plain; charset=utf-8", bytes(content));
  }

  write(): Uint8Array {
    const message = new MessagePackWriter().map(3).str("status").int(this.status);
    message.str("headers").array(this.fields.length >> 1);
    for (let index = 0; index < this.fields.length; index += 2) {
      message.array(2).str(this.fields[index]).str(this.fields[index + 1]);
    }
    return message.str("body").bin(this.content).finish();
  }
}

let answer: (request: HttpRequest) => HttpResponse = notFound;

/**
 * Makes `handler` answer the requests that a route leads here. To be called from the guest's own `wapc_init`. A body that
 * is longer than what a message carries is refused with 413 before the handler sees it.
 */
export function serve(handler: (request: HttpRequest) => HttpResponse): void {
  answer = handler;
  register("http-request", respond);
}

function respond(payload: Uint8Array): Uint8Array {
  const request = HttpRequest.read(payload);
  if (request === null) return fail("the payload is not an HTTP request");
  if (!request.isWhole) return new HttpResponse(413).text("the body is too long for this guest\n").write();
  return answer(request).write();
}

function notFound(_request: HttpRequest): HttpResponse {
  return new HttpResponse(404);
}
