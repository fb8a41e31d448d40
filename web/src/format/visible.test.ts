import { describe, expect, it } from "vitest";
import { pieces, visible } from "./visible";

describe("visible", () => {
  it.each([
    ["plain text stays", "example.com/a?b=ü 中文 😀", "example.com/a?b=ü 中文 😀"],
    ["right-to-left override", "photo\u202egpj.exe", "photo[U+202E]gpj.exe"],
    ["isolates and marks", "a\u2066b\u2069\u200f", "a[U+2066]b[U+2069][U+200F]"],
    ["zero width", "pay\u200bpal\ufeff", "pay[U+200B]pal[U+FEFF]"],
    ["terminal escapes", "\u001b[31mred\u0007", "[U+001B][31mred[U+0007]"],
    ["C1 controls", "a\u009bb", "a[U+009B]b"],
    ["newlines in one line", "a\r\nb", "a[U+000D][U+000A]b"],
    ["line separators", "a\u2028b\u2029", "a[U+2028]b[U+2029]"],
    ["soft hyphen", "exam\u00adple", "exam[U+00AD]ple"],
    ["tags", "a\u{e0041}", "a[U+E0041]"],
    ["a lone surrogate", "a\ud800b", "a[U+D800]b"],
    ["markup is text", "<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"],
    ["nothing", "", ""],
  ])("%s", (_, input, want) => {
    expect(visible(input)).toBe(want);
  });

  it("keeps lines of bodies", () => {
    expect(pieces("a\r\nb\tc\u0000", true)).toEqual([
      { text: "a\nb\tc", hidden: false },
      { text: "U+0000", hidden: true },
    ]);
  });

  it("takes linear time", () => {
    const time = (n: number) => {
      const text = "\u202ea".repeat(n);
      const start = performance.now();
      pieces(text);
      return performance.now() - start;
    };
    time(50_000);
    const median = (n: number) => [time(n), time(n), time(n), time(n), time(n)].sort((a, b) => a - b)[2] ?? 0;
    expect(median(200_000)).toBeLessThan(4 * median(100_000) + 5);
  });
});
