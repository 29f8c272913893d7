/** What a part says once it works: over its IPC channel to `up`, and from there to the supervisor. */
export const partReady = { type: "part.ready" } as const;
