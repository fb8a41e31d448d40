import { expect, it } from "vitest";
import { daysUntil } from "./days";

it("counts whole days, and none of the past", () => {
  const now = Date.parse("2026-03-01T12:00:00Z");
  expect(daysUntil("2026-03-31T11:59:59Z", now)).toBe(29);
  expect(daysUntil("2026-03-31T12:00:00Z", now)).toBe(30);
  expect(daysUntil("2026-02-01T00:00:00Z", now)).toBe(0);
});
