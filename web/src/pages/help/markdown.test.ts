import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { MemoryRouter } from "react-router";
import { describe, expect, it } from "vitest";
import { docs, pages } from "./docs";
import { Markdown } from "./Markdown";
import { anchorsOf, linksOf, slug, targetOf } from "./markdown";

const show = (text: string) =>
  renderToStaticMarkup(createElement(MemoryRouter, null, createElement(Markdown, { text, page: "coverage" })));

it.each([
  ["Why a connection was not decrypted", "why-a-connection-was-not-decrypted"],
  ["`no_key`: what, and why?", "no_key-what-and-why"],
  ["CPU & memory", "cpu--memory"],
])("names the heading %j", (heading, want) => expect(slug(heading)).toBe(want));

describe("links", () => {
  it.each([
    ["reason-codes.md", { page: "reason-codes", hash: "" }],
    ["reason-codes.md#no_key", { page: "reason-codes", hash: "#no_key" }],
    ["#filters", { page: "coverage", hash: "#filters" }],
    ["https://example.com/a", { outside: "https://example.com/a" }],
    ["../ARCHITECTURE.md", undefined],
    ["none.md", undefined],
    ["javascript:alert(1)", undefined],
    ["data:text/html,x", undefined],
    ["//example.com", undefined],
    ["", undefined],
  ])("%j", (href, want) => expect(targetOf(href, "coverage", pages)).toEqual(want));
});

it("shows what Markdown has", () => {
  const shown = show(
    "# A *b*\n\ntext `c<d` **e** & [f](reason-codes.md#no_key)\n\n- g\n- h\n\n| i | j |\n|---|---|\n| `k_l` | m |\n\n```\nn < o\n```\n",
  );
  for (const part of [
    '<h1 id="a-b">A <em>b</em></h1>',
    "text <code>c&lt;d</code> <strong>e</strong> &amp; ",
    '<a href="/help/reason-codes#no_key"',
    "<li>g</li><li>h</li>",
    '<tr id="k_l"><td><code>k_l</code></td><td>m</td></tr>',
    "<code>n &lt; o</code>",
  ])
    expect(shown).toContain(part);
});

it("makes no HTML of what is none of its own", () => {
  const shown = show(
    "<script>alert(1)</script>\n\na <img src=x onerror=alert(1)> b ![c](https://x.example/y.png)\n\n[d](javascript:alert(1))",
  );
  expect(shown).not.toMatch(/<(script|img|iframe)|href="javascript/i);
  expect(shown).toContain("&lt;script&gt;");
  expect(shown).toContain("d");
});

describe("the documentation", () => {
  it("has titles", () => {
    expect(docs.length).toBeGreaterThan(3);
    for (const d of docs) expect(d.title, d.page).not.toBe("");
  });
  it.each(docs.map((d) => [d.page, d] as const))("%s links to what there is", (_, d) => {
    for (const href of linksOf(d.text)) {
      const target = targetOf(href, d.page, pages);
      if (!target) {
        expect(href, "a file outside of docs").toMatch(/^\.\.\//);
        continue;
      }
      if ("outside" in target || target.hash === "") continue;
      const there = docs.find((other) => other.page === target.page);
      expect(anchorsOf(there?.text ?? ""), `${href}: no such place`).toContain(target.hash.slice(1));
    }
  });
});
