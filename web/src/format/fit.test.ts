import { describe, expect, it } from "vitest";
import { fit, stretch } from "./fit";
import { allTime, resolve, type Range } from "./range";

const series = (counts: number[], interval: number) =>
  counts.map((count, i) => ({ time: new Date(i * interval * 1000).toISOString(), count }));
const filled = (s: { time: string; count: number }) => s.count > 0;

describe("stretch", () => {
  it("narrows to where something is", () => {
    const counts = Array.from({ length: 60 }, (_, i) => (i === 10 || i === 11 ? 5 : 0));
    expect(stretch(series(counts, 3600), 3600, filled)).toEqual({
      since: "1970-01-01T10:00:00.000Z",
      until: "1970-01-01T12:00:00.000Z",
    });
  });
  it.each([
    ["an empty series", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 60],
    ["a full one", [0, 1, 0, 0, 0, 0, 0, 0, 1, 0], 60],
    ["one of seconds", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 1],
  ])("leaves %s", (_, counts, interval) => expect(stretch(series(counts, interval), interval, filled)).toBeUndefined());
});

it("finds a minute in fifty years", async () => {
  const events = [Date.parse("2015-05-05T05:05:05Z"), Date.parse("2015-05-05T05:05:55Z")];
  let reads = 0;
  const read = (range: Range) => {
    reads++;
    const from = resolve(range.since, 0) ?? 0;
    const to = resolve(range.until, Date.parse("2026-01-01T00:00:00Z")) ?? 0;
    const width = (to - from) / 120;
    const points = Array.from({ length: 120 }, (_, i) => ({
      time: new Date(from + i * width).toISOString(),
      count: events.filter((e) => e >= from + i * width && e < from + (i + 1) * width).length,
    }));
    return Promise.resolve({ points, interval: width / 1000 });
  };
  const answer = await fit(
    read,
    { since: allTime, until: "" },
    (a) => ({ series: a.points, interval: a.interval }),
    filled,
  );
  expect(reads).toBeLessThan(8);
  expect(answer.points.reduce((sum, p) => sum + p.count, 0)).toBe(2);
  expect(answer.interval).toBeLessThan(10);
});
