import { expect, it } from "vitest";
import { exact, moment, tick } from "./time";

const at = "2026-03-01T00:05:09.042Z";

it("shows exact times in one form", () => {
  expect(exact(at, "utc")).toBe("2026-03-01 00:05:09.042");
});

it("shows moments by language", () => {
  expect(moment(at, "en", "utc")).toBe("Mar 1, 2026, 00:05");
  expect(moment(at, "zh-CN", "utc")).toBe("2026年3月1日 00:05");
});

it.each([
  ["seconds", "2026-03-01T10:05:09Z", 1, "10:05:09"],
  ["minutes", "2026-03-01T10:05:00Z", 300, "10:05"],
  ["midnight shows the day", "2026-03-01T00:00:00Z", 3600, "Mar 1"],
  ["days", "2026-03-01T00:00:00Z", 86_400, "Mar 1"],
  ["years", "2026-03-01T00:00:00Z", 86_400 * 365, "Mar 1, 2026"],
])("ticks of %s", (_, time, step, want) => expect(tick(new Date(time), step, "en", "utc")).toBe(want));
