/** One figure; `ratio` is value / baseline, both of one run. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly baseline?: number;
  readonly ratio?: number;
  readonly note?: string;
}

/** One measuring of one kind: how much, and what of it belongs in the note. */
export type Round = () => Promise<number>;

/** What interleaved rounds came to. */
export interface Comparison {
  readonly value: number;
  readonly baseline: number;
  readonly ratio: number;
  /** The lowest and the highest ratio of two neighbouring rounds, for whoever wants to know how quiet the machine was. */
  readonly spread: string;
}

/** Many short rounds rather than few long ones: what else the machine does comes and goes within seconds. */
const rounds = 15;

/**
 * Measures both in turn, and who goes first in turn as well, so that a machine that is busy for a while is busy for
 * both. One round of each is thrown away: it compiles.
 */
export async function compare(ours: Round, theirs: Round): Promise<Comparison> {
  const values: number[] = [];
  const baselines: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const oursFirst = round % 2 === 0;
    const first = await (oursFirst ? ours : theirs)();
    const second = await (oursFirst ? theirs : ours)();
    if (round === 0) continue;
    values.push(oursFirst ? first : second);
    baselines.push(oursFirst ? second : first);
  }
  const value = median(values);
  const baseline = median(baselines);
  const pairs = values.map((one, index) => one / (baselines[index] ?? Number.NaN)).toSorted((a, b) => a - b);
  return {
    value,
    baseline,
    ratio: value / baseline,
    spread: `${short(pairs[0])}–${short(pairs.at(-1))} by round`,
  };
}

/** The middle one; of an even number the upper of the two. */
export function median(values: readonly number[]): number {
  const middle = values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)];
  if (middle === undefined) throw new Error("no values were measured");
  return middle;
}

/** Three significant digits below a hundred, whole numbers above. */
export function short(value: number | undefined): string {
  if (value === undefined) return "–";
  return String(rounded(value));
}

/** The same as a number. */
export function rounded(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}
