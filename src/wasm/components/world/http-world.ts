import type { ComponentHost } from "./component-host.ts";
import type { HttpContext } from "./http-context.ts";
import { httpErrorCode } from "./http-error-codes.ts";
import { type HandleRequest, ResponseOutparam, serveRequest } from "./http-exchange.ts";
import { FutureIncomingResponse, outgoingHandler } from "./http-fetch.ts";
import type { FieldList } from "./http-field-list.ts";
import { Fields, fieldsOf } from "./http-fields.ts";
import { FutureTrailers, IncomingBody, IncomingRequest, IncomingResponse } from "./http-incoming.ts";
import { OutgoingBody, OutgoingResponse, RequestOptions } from "./http-outgoing.ts";
import { OutgoingRequest } from "./http-outgoing-request.ts";

/** `wasi:http` for one life of one guest. What it holds, it holds through its host: that one's end is its own. */
export interface HttpWorld {
  /** To be supplied to the component. */
  readonly imports: Record<"wasi:http/types" | "wasi:http/outgoing-handler", Record<string, unknown>>;
  /**
   * The operation `http-request`: `payload` is the request message, `handle` the component's own export. For its
   * answer and errors see {@link serveRequest}.
   */
  incoming(payload: Uint8Array, handle: HandleRequest): Promise<Uint8Array>;
}

/** The interfaces of wasi:http 0.2 for the guest of this host; https://github.com/WebAssembly/wasi-http. */
export function createHttpWorld(host: ComponentHost): HttpWorld {
  const context: HttpContext = {
    host,
    newFields: (list, isMutable) => new GuestFields(list, isMutable),
    bodiesServed: 0,
    isHead: false,
  };

  // A guest constructs these with what the interface says and no more; their world is put in here.
  class GuestFields extends Fields {
    constructor(list: FieldList = [], isMutable = true) {
      super(host, context.newFields, list, isMutable);
    }

    static fromList(entries: readonly (readonly [string, Uint8Array])[]): Fields {
      return new GuestFields(fieldsOf(entries));
    }
  }
  class GuestRequest extends OutgoingRequest {
    constructor(headers: Fields) {
      super(context, headers);
    }
  }
  class GuestResponse extends OutgoingResponse {
    constructor(headers: Fields) {
      super(context, headers);
    }
  }
  class GuestOptions extends RequestOptions {
    constructor() {
      super(context);
    }
  }

  return {
    imports: {
      "wasi:http/types": {
        Fields: GuestFields,
        FutureIncomingResponse,
        FutureTrailers,
        IncomingBody,
        IncomingRequest,
        IncomingResponse,
        OutgoingBody,
        OutgoingRequest: GuestRequest,
        OutgoingResponse: GuestResponse,
        RequestOptions: GuestOptions,
        ResponseOutparam,
        httpErrorCode,
      },
      "wasi:http/outgoing-handler": outgoingHandler(context),
    },
    incoming: (payload, handle) => serveRequest(context, payload, handle),
  };
}
