import { describe, expect, it } from "vitest";
import { hasTerm, narrow, quote, term, without } from "./query";

it.each([
  ["example.com", "example.com"],
  ["GET", "GET"],
  ["/a/b", "/a/b"],
  ["2001:db8::1", '"2001:db8::1"'],
  ["a b", '"a b"'],
  ['say "hi" \\', '"say \\"hi\\" \\\\"'],
  ["not", '"not"'],
  ["a\r\n\tb", '"a\\r\\n\\tb"'],
  ["*", '"*"'],
  ["", '""'],
  ["中文", "中文"],
])("quotes %s", (value, want) => expect(quote(value)).toBe(want));

it("writes terms", () => {
  expect(term("http.status", 200)).toBe("http.status:200");
  expect(term("http.host", "a b", true)).toBe('not http.host:"a b"');
});

describe("narrow", () => {
  it.each([
    ["", "a:1", "a:1"],
    ["a:1", "b:2", "a:1 and b:2"],
    ["a:1 or a:2", "b:2", "(a:1 or a:2) and b:2"],
    ["a:1 and b:2", "b:2", "a:1 and b:2"],
  ])("%s by %s", (query, addition, want) => expect(narrow(query, addition)).toBe(want));
});

it("finds and takes out terms", () => {
  const query = 'decrypted:yes and (a:1 and b:2) and http.url:"x and y"';
  expect(hasTerm(query, "decrypted:yes")).toBe(true);
  expect(hasTerm(query, "b:2")).toBe(false);
  expect(without(query, "decrypted:yes")).toBe('(a:1 and b:2) and http.url:"x and y"');
  expect(without("decrypted:yes", "decrypted:yes")).toBe("");
});
