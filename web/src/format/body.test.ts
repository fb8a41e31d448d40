import { describe, expect, it } from "vitest";
import { decodeBase64, hexDump, prettyJSON, rasterType, textOf } from "./body";

const bytes = (text: string) => new TextEncoder().encode(text);

it("decodes base64", () => expect([...decodeBase64("AP9h")]).toEqual([0, 255, 97]));

describe("rasterType", () => {
  it.each([
    ["png", new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0]), "image/png"],
    ["jpeg", new Uint8Array([0xff, 0xd8, 0xff, 0xe0]), "image/jpeg"],
    ["gif", bytes("GIF89a..."), "image/gif"],
    ["webp", bytes("RIFF\n\n\n\nWEBPVP8 "), "image/webp"],
    ["svg", bytes('<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'), undefined],
    ["html", bytes("<html><script>"), undefined],
    ["empty", new Uint8Array(), undefined],
  ])("%s", (_, input, want) => expect(rasterType(input)).toBe(want));
});

describe("textOf", () => {
  it("reads UTF-8", () => expect(textOf(bytes("中文"), "text/html")).toBe("中文"));
  it("reads the named charset", () => {
    expect(textOf(new Uint8Array([0xd6, 0xd0, 0xce, 0xc4]), 'text/html; charset="gbk"')).toBe("中文");
  });
  it("falls back from a charset that is none", () =>
    expect(textOf(bytes("a"), "text/html; charset=none-such")).toBe("a"));
  it("refuses binary", () => expect(textOf(new Uint8Array([0, 1, 2, 255, 254, 3]), "text/plain")).toBeUndefined());
});

describe("prettyJSON", () => {
  it.each([
    [
      "an object",
      '{"a":[1,{"b":"x:{,"}],"c":{}}',
      '{\n  "a": [\n    1,\n    {\n      "b": "x:{,"\n    }\n  ],\n  "c": {}\n}',
    ],
    ["long numbers", "[12345678901234567890]", "[\n  12345678901234567890\n]"],
    ["a cut body", '{"a":', undefined],
    ["text", "hello", undefined],
  ])("%s", (_, input, want) => expect(prettyJSON(input)).toBe(want));
  it("agrees with JSON.parse", () => {
    const text = '{"a":[[],[{}],"\\"]"],"b":{"c":null,"d":-1.5e3}}';
    expect(JSON.parse(prettyJSON(text) ?? "")).toEqual(JSON.parse(text));
  });
});

it("dumps hex", () => {
  expect(hexDump(bytes("0123456789abcdef<b>\0"))).toBe(
    "00000000  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  0123456789abcdef\n" +
      "00000010  3c 62 3e 00                                       <b>.",
  );
});
