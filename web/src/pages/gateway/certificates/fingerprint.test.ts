import { expect, it } from "vitest";
import { fingerprintOf } from "./fingerprint";

it.each(["0aff10", "0A:FF:10"])("writes a fingerprint as OpenSSL does: %s", (text) =>
  expect(fingerprintOf(text)).toBe("0A:FF:10"),
);
