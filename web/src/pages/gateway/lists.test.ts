import { describe, expect, it } from "vitest";
import { listOf, problemOf, rangesOf, textOf } from "./lists";

describe("a list", () => {
  it.each([
    ["10.0.0.1, 10.0.0.2;10.0.0.3\n\n 2001:db8::/32 ", ["10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::/32"]],
    ["10.0.0.1，10.0.0.2、10.0.0.3", ["10.0.0.1", "10.0.0.2", "10.0.0.3"]],
    [" \n", []],
  ])("is taken out of %j", (text, list) => expect(listOf(text)).toEqual(list));

  it("is written one entry a line", () => {
    expect(textOf(["a", "b"])).toBe("a\nb");
    expect(textOf(null)).toBe("");
  });
});

it("reads ports and ranges as they are written, and leaves what it does not know to the server", () => {
  expect(rangesOf("443 8000-8999, 0/65535 web 1-2-3")).toEqual([
    ...["443/443", "8000/8999", "0/65535"],
    ...["web", "1-2-3"],
  ]);
});

it("finds the problem of a field, or of an entry in it", () => {
  const problems = [
    { field: "scopes[1].sources[3]", message: "no address" },
    { field: "scopes[1]", message: "too much" },
    { field: "scopes[10].sources", message: "another" },
  ];
  expect(problemOf(problems, "scopes[1].sources")).toBe("no address");
  expect(problemOf(problems, "scopes[1]")).toBe("too much");
  expect(problemOf(problems, "scopes[1].source_ports")).toBeUndefined();
  expect(problemOf(problems, "scopes[0].sources")).toBeUndefined();
});
