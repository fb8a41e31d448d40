import { expect, it } from "vitest";
import { liveLimit, prepend } from "./live";
import type { Record } from "./types";

const record = (n: number): Record => ({ id: String(n), time: "2026-11-20T00:00:00Z", kind: "http" });

it("puts the newest first", () => {
  expect(prepend([record(1)], [record(2), record(3)]).map((r) => r.id)).toEqual(["3", "2", "1"]);
});

it("forgets the oldest", () => {
  const held = Array.from({ length: liveLimit }, (_, i) => record(i));
  const now = prepend(held, [record(-1)]);
  expect(now).toHaveLength(liveLimit);
  expect(now[0]?.id).toBe("-1");
  expect(now.at(-1)?.id).toBe(String(liveLimit - 2));
});
