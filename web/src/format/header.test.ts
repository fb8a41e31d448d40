import { expect, it } from "vitest";
import { headerOf, splitHeader } from "./header";

it.each([
  ["Host: example.com", ["Host", "example.com"]],
  [":path: /a:b", [":path", "/a:b"]],
  ["X-Empty:", ["X-Empty", ""]],
  ["no colon", ["no colon", ""]],
  ["", ["", ""]],
])("%s", (header, want) => expect(splitHeader(header)).toEqual(want));

it("finds headers in any case", () => {
  expect(headerOf(["A: 1", "CONTENT-Type: text/html", "content-type: b"], "content-type")).toBe("text/html");
  expect(headerOf([], "a")).toBe("");
});
