import { expect, it } from "vitest";
import { base64Of } from "./base64";

it("writes every byte", () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  expect(base64Of(bytes.buffer)).toBe(Buffer.from(bytes).toString("base64"));
  expect(base64Of(undefined)).toBe("");
});
