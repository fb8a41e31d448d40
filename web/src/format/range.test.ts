import { expect, it } from "vitest";
import { between, putRange, rangeOf, resolve } from "./range";

const now = Date.parse("2026-11-20T12:00:00Z");

it.each([
  ["", "2026-11-20T12:00:00.000Z"],
  ["15m", "2026-11-20T11:45:00.000Z"],
  ["7d", "2026-11-13T12:00:00.000Z"],
  ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"],
])("resolves %s", (point, want) => expect(new Date(resolve(point, now) ?? 0).toISOString()).toBe(want));

it("refuses what it can't read", () => {
  expect(resolve("yesterday", now)).toBeUndefined();
  expect(resolve("12", 0)).not.toBe(now);
});

it("reads and writes the address", () => {
  expect(rangeOf(new URLSearchParams("since=1h&until=<script>"))).toEqual({ since: "1h", until: "" });
  expect(rangeOf(new URLSearchParams("since=nonsense"))).toEqual({ since: "24h", until: "" });
  const params = new URLSearchParams("q=a&until=1h");
  putRange(params, { since: "7d", until: "" });
  expect(params.toString()).toBe("q=a&since=7d");
  putRange(params, { since: "24h", until: "" });
  expect(params.toString()).toBe("q=a");
});

it("makes ranges of what was brushed", () => {
  expect(between(0, 60)).toEqual({ since: "1970-01-01T00:00:00.000Z", until: "1970-01-01T00:01:00.000Z" });
});
