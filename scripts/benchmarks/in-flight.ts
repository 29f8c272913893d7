/** What one round of calls is. */
export interface Load {
  readonly inFlight: number;
  readonly durationMs: number;
}

/** What it came to. */
export interface LoadResult {
  readonly perSecond: number;
  /** Of the calls with one in flight; 0 otherwise. */
  readonly p50Us: number;
  /** Of this process, user and system, per call. */
  readonly cpuUs: number;
  readonly calls: number;
}

/** Keeps so many calls in flight for so long; a call that fails ends the round. */
export async function keepInFlight(call: (lane: number) => Promise<void>, load: Load): Promise<LoadResult> {
  const latencies: number[] = [];
  const cpu = process.cpuUsage();
  const began = performance.now();
  const until = began + load.durationMs;
  let calls = 0;

  const lane = async (index: number) => {
    let now = performance.now();
    while (now < until) {
      const sent = now;
      await call(index);
      now = performance.now();
      calls += 1;
      if (load.inFlight === 1) latencies.push(now - sent);
    }
  };
  await Promise.all(Array.from({ length: load.inFlight }, (_, index) => lane(index)));

  const seconds = (performance.now() - began) / 1_000;
  const used = process.cpuUsage(cpu);
  const middle = latencies.toSorted((one, other) => one - other)[latencies.length >> 1] ?? 0;
  return {
    perSecond: calls / seconds,
    p50Us: middle * 1_000,
    cpuUs: (used.user + used.system) / calls,
    calls,
  };
}
