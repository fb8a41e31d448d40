import { expect, it } from "vitest";
import { bytes, compact, count, duration, percent } from "./number";

it.each([
  [0, "0 B"],
  [1023, "1,023 B"],
  [1024, "1 KiB"],
  [1536, "1.5 KiB"],
  [150 * 1024, "150 KiB"],
  [5 * 1024 ** 3, "5 GiB"],
  [2 ** 60, "1,024 PiB"],
])("bytes %d", (n, want) => expect(bytes(n, "en")).toBe(want));

it.each([
  [5, "5 µs"],
  [1_500, "1.5 ms"],
  [25_000, "25 ms"],
  [2_000_000, "2 s"],
  [180_000_000, "3 min"],
])("duration %d", (n, want) => expect(duration(n, "en")).toBe(want));

it("counts by locale", () => {
  expect(count(1234567, "en")).toBe("1,234,567");
  expect(compact(1234567, "en")).toBe("1.2M");
  expect(compact(123456789, "zh")).toBe("1.2亿");
});

it.each([
  [0, 0, undefined],
  [0, 10, "0%"],
  [10, 10, "100%"],
  [872, 1000, "87.2%"],
  [99_999, 100_000, "99.9%"],
  [1, 1_000_000, "0.1%"],
])("%d of %d", (part, whole, want) => expect(percent(part, whole, "en")).toBe(want));
