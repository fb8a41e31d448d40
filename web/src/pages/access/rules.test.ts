import { expect, it } from "vitest";
import { contains, endOf, name, rolesUpTo } from "./rules";

it.each(["ann", "ann.b@example.org", "0_x"])("takes the name %j", (text) => expect(name.test(text)).toBe(true));
it.each(["", "-ann", "a b", "<script>", "ann\n"])("refuses the name %j", (text) => expect(name.test(text)).toBe(false));

it("gives on no more than one has", () => {
  expect(rolesUpTo("viewer")).toEqual(["viewer"]);
  expect(rolesUpTo("analyst")).toEqual(["viewer", "analyst"]);
  expect(rolesUpTo("admin")).toEqual(["viewer", "analyst", "admin"]);
});

it("ends tokens", () => {
  const now = new Date("2026-11-20T12:00:00Z");
  expect(endOf(30, now)).toBe("2026-12-20T12:00:00.000Z");
  expect(endOf(0, now)).toBeUndefined();
});

it.each([
  ["", true],
  ["ADMIN denied", true],
  ["admin ok", false],
])("finds entries by %j", (words, want) => expect(contains(["admin", undefined, "denied"], words)).toBe(want));
