import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Console, launch, violations } from "./console";

const capture = join(import.meta.dirname, "../../testdata/cases/smtp/traffic.pcapng");
const pictures = process.env.VITRINE_E2E_PICTURES;
let browser: Browser;
let results: string;

beforeAll(async () => {
  browser = await launch();
  const ui = await Console.open(browser, { language: "en" });
  await ui.signIn();
  results = await ui.import([
    { name: "mail.pcapng", mimeType: "application/octet-stream", buffer: readFileSync(capture) },
  ]);
  await ui.close();
});

afterAll(() => browser.close());

describe.each([
  { language: "en", theme: "light", mail: "Mail", text: "Text", commands: "Commands" },
  { language: "zh", theme: "dark", mail: "邮件", text: "正文", commands: "命令" },
] as const)("a mail in $language and $theme", ({ language, theme, mail, text, commands }) => {
  it("shows what was written, to whom, and what the server said", async () => {
    const ui = await Console.open(browser, { language, theme });
    await ui.signIn();
    const [path = "", query = ""] = results.split("?");
    const search = new URLSearchParams(query);
    search.set("q", `${search.get("q") ?? ""} and kind:smtp`);
    await ui.goto(`${path}?${search.toString()}`);
    const row = ui.page.locator(".grid-row", { hasText: "alice@example.org → bob@example.com" });
    await row.first().locator(".cell-time").click();
    const drawer = ui.page.locator(".ant-drawer");
    await drawer.locator(".ant-tabs").waitFor();
    await drawer.getByRole("heading", { name: mail, exact: true }).waitFor();
    await drawer.getByRole("heading", { name: text, exact: true }).waitFor();
    await drawer.getByRole("heading", { name: commands, exact: true }).waitFor();
    const shown = await drawer.innerText();
    for (const words of [
      "Übersicht.pdf",
      "Here it is.",
      "Bob <bob@example.com>",
      "nobody@example.com 554 5.7.1",
      "queued as",
    ])
      expect(shown).toContain(words);
    expect(await violations(ui.page)).toEqual([]);
    if (pictures) await ui.page.screenshot({ path: join(pictures, `smtp-${language}-${theme}.png`) });
    expect(ui.troubles).toEqual([]);
    await ui.close();
  });
});
