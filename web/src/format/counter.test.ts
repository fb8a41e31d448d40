import { expect, it } from "vitest";
import { isLoss, labelsOf, matching } from "./counter";

const counter = (name: string, labels?: { [k: string]: string }) => ({ name, value: 1, ...(labels && { labels }) });

it.each([
  ["vitrine_capture_dropped_packets_total", true],
  ["vitrine_reassembly_gap_bytes_total", true],
  ["vitrine_bus_events_lost", true],
  ["vitrine_capture_packets_total", false],
  ["vitrine_missingness", false],
])("%s is a loss: %s", (name, want) => expect(isLoss(counter(name))).toBe(want));

it("writes labels", () => {
  expect(labelsOf(counter("a"))).toBe("");
  expect(labelsOf(counter("a", { x: "1", y: "2" }))).toBe('{x="1", y="2"}');
});

it("finds by words", () => {
  const all = [
    counter("events_total", { kind: "http" }),
    counter("events_total", { kind: "dns" }),
    counter("packets_total"),
  ];
  expect(matching(all, "EVENTS http")).toEqual([all[0]]);
  expect(matching(all, " ")).toEqual(all);
});
