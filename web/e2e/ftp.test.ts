import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Console, launch, violations } from "./console";

const capture = join(import.meta.dirname, "../../testdata/cases/ftp-passive/traffic.pcapng");
const pictures = process.env.VITRINE_E2E_PICTURES;
let browser: Browser;
let results: string;

beforeAll(async () => {
  browser = await launch();
  const ui = await Console.open(browser, { language: "en" });
  await ui.signIn();
  results = await ui.import([
    { name: "files.pcapng", mimeType: "application/octet-stream", buffer: readFileSync(capture) },
  ]);
  await ui.close();
});

afterAll(() => browser.close());

describe.each([
  { language: "en", theme: "light", reply: "Reply", related: "Same connection", control: "Control connection" },
  { language: "zh", theme: "dark", reply: "应答", related: "同一连接", control: "控制连接" },
] as const)("FTP in $language and $theme", ({ language, theme, reply, related, control }) => {
  it.each([
    {
      kind: "ftp",
      row: "RETR numbers.txt",
      heading: reply,
      words: ["/pub/numbers.txt", "226 Transfer complete.", "1.8 KiB"],
    },
    { kind: "ftp_data", row: "RETR /pub/numbers.txt", heading: "", words: [control, "anonymous", "499\n500"] },
  ])("shows what was said and transferred: $kind", async ({ kind, row, heading, words }) => {
    const ui = await Console.open(browser, { language, theme });
    await ui.signIn();
    const [path = "", query = ""] = results.split("?");
    const search = new URLSearchParams(query);
    search.set("q", `${search.get("q") ?? ""} and kind:${kind}`);
    await ui.goto(`${path}?${search.toString()}`);
    await ui.page.locator(".grid-row", { hasText: row }).first().locator(".cell-time").click();
    const drawer = ui.page.locator(".ant-drawer");
    await drawer.locator(".ant-tabs").waitFor();
    if (heading) await drawer.getByRole("heading", { name: heading, exact: true }).waitFor();
    const shown = await drawer.innerText();
    for (const word of words) expect(shown).toContain(word);
    expect(shown).not.toContain("secret");
    expect(await violations(ui.page)).toEqual([]);
    if (pictures) await ui.page.screenshot({ path: join(pictures, `${kind}-${language}-${theme}.png`) });
    await drawer.getByRole("tab", { name: related }).click();
    await drawer.locator(".related-item", { hasText: "220 (vsFTPd 3.0.3)" }).waitFor();
    await drawer.locator(".related-item", { hasText: "RETR /pub/numbers.txt" }).waitFor();
    expect(ui.troubles).toEqual([]);
    await ui.close();
  });
});
