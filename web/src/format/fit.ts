import type { Range } from "./range";

interface Step {
  time: string;
}

/**
 * The stretch of a time series in which something is, if that is less than an eighth of it: a search over all time finds a
 * capture that is minutes long, and the chart should show those. Undefined if the series is full enough, or empty.
 */
export function stretch<S extends Step>(
  series: S[],
  interval: number,
  filled: (step: S) => boolean,
): Range | undefined {
  const first = series.findIndex(filled);
  if (first < 0 || interval <= 1) return undefined;
  const last = series.findLastIndex(filled);
  if (last - first + 1 > series.length / 8) return undefined;
  const at = (index: number) => Date.parse(series[index]?.time ?? "");
  return { since: new Date(at(first)).toISOString(), until: new Date(at(last) + interval * 1000).toISOString() };
}

/** From the seconds since 1970 to one second it takes fewer steps than this, each an eighth of the one before. */
const maxSteps = 12;

/** Reads a series again and again, each time the stretch in which something is, until it fills its width. */
export async function fit<T, S extends Step>(
  read: (range: Range) => Promise<T>,
  range: Range,
  seriesOf: (answer: T) => { series: S[]; interval: number },
  filled: (step: S) => boolean,
): Promise<T> {
  let answer = await read(range);
  for (let i = 0; i < maxSteps; i++) {
    const { series, interval } = seriesOf(answer);
    const narrower = stretch(series, interval, filled);
    if (!narrower) break;
    answer = await read(narrower);
  }
  return answer;
}
