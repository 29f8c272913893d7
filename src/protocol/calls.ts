/** Headers of calls, capability calls and their answers. */
export const headers = {
  /** On an answer: the call failed, with this code; the body is the error as JSON. */
  errorCode: "Wasmatrix-Error-Code",
  /** On an answer: the failure's message in one line. */
  error: "Wasmatrix-Error",
  /** Taken and passed on everywhere. */
  correlationId: "Wasmatrix-Correlation-Id",
  /** W3C trace context, taken and passed on everywhere. */
  traceparent: "traceparent",
  /** On a call: how many milliseconds the caller waits. */
  timeoutMs: "Wasmatrix-Timeout-Ms",
  /**
   * On a call by a provider, or on its answer to a capability call: permissions that it has used beside those that the
   * call names, with commas between them. Only for the record of what grants are used for: nothing is permitted by it.
   */
  uses: "Wasmatrix-Uses",
  /** On a piece of a stream: the stream ends here. */
  streamEnd: "Wasmatrix-Stream-End",
} as const;

/**
 * What a cell sends to a provider, as MessagePack: whose call it is and the guest's own payload, untouched. The
 * calling node stands in the subject, where the bus enforces it.
 */
export interface CapabilityCall {
  instanceId: string;
  incarnation: number;
  capabilityId: string;
  payload: Uint8Array;
}

/** One line of a guest's output. */
export interface LogLine {
  /** ISO 8601. */
  at: string;
  lattice: string;
  node: string;
  instanceId: string;
  name?: string;
  stream: "stdout" | "stderr" | "console";
  text: string;
  /** Lines left out before this one, because the instance wrote more than its share per second. */
  dropped?: number;
}
