import { expect, it } from "vitest";
import { fromBytes, toBytes } from "./offset";

const text = "a:é and 中😀 b";

it.each([
  [0, 0],
  [2, 2],
  [3, 4],
  [8, 9],
  [9, 12],
  [11, 16],
  [13, 18],
])("position %d is byte %d", (position, byte) => {
  expect(toBytes(text, position)).toBe(byte);
  expect(fromBytes(text, byte)).toBe(position);
});

it("stays in the text", () => expect(fromBytes("ab", 99)).toBe(2));
