import type { ServerResponse } from "node:http";

/**
 * Ends an answer that will not be whole, and its connection with it: by a reset, for the mere end of a connection
 * completes an answer that has neither a length nor chunks.
 */
export function cutOff(response: ServerResponse): void {
  const { socket } = response;
  if (socket === null) response.destroy();
  else socket.resetAndDestroy();
}
