import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Console, launch, violations } from "./console";
import { Gate } from "./gateway";
import { Machine } from "./probe";
import { makeTraffic, payload } from "./traffic";

const pictures = join(import.meta.dirname, "../../docs/screenshots");
let browser: Browser;

// The capture is of a time at which the server itself captures nothing: an hour before yesterday.
const began = Date.now() - 60 * 3600_000;
const period = `since=${new Date(began - 120_000).toISOString()}&until=${new Date(began + 3600_000).toISOString()}`;

beforeAll(async () => {
  mkdirSync(pictures, { recursive: true });
  browser = await launch();
  const ui = await Console.open(browser, { language: "en" });
  await ui.signIn();
  const { capture, keylog } = await makeTraffic(began, 12, 300_000);
  await ui.import([
    { name: "office.pcap", mimeType: "application/octet-stream", buffer: capture },
    { name: "keys.txt", mimeType: "text/plain", buffer: Buffer.from(keylog) },
  ]);
  await ui.close();
});

afterAll(() => browser.close());

const drawerOf = "decrypted:yes and http.url:/api/items*";
const views = [
  { name: "overview", path: `/overview?${period}`, ready: ".reasons li" },
  { name: "logs", path: `/logs?${period}`, ready: ".grid-row .label" },
  { name: "mistake", path: `/logs?${period}&q=htp.host%3Aa`, ready: ".search-problem" },
  { name: "drawer", path: `/logs?${period}&q=${encodeURIComponent(drawerOf)}`, ready: ".grid-row .label", open: true },
  { name: "coverage", path: "/coverage", ready: ".process-table td" },
  { name: "gateway", path: "/gateway/policies", ready: ".policies td" },
  { name: "gateway-policy", path: "/gateway/policies/office", ready: ".wizard .ant-radio-wrapper" },
  { name: "gateway-certificates", path: "/gateway/certificates", ready: ".authority" },
  { name: "gateway-trust", path: "/gateway/certificates/office/rhel", ready: ".install-page" },
  { name: "gateway-distrust", path: "/gateway/distrust", ready: ".distrust td" },
  { name: "gateway-exceptions", path: "/gateway/exceptions", ready: ".exceptions td" },
  { name: "gateway-rules", path: "/gateway/rules", ready: ".applications td" },
  { name: "gateway-changes", path: "/gateway/changes", ready: ".changes td" },
  { name: "import", path: "/import", ready: ".import-item" },
  { name: "system", path: "/system", ready: ".roles li" },
  { name: "access", path: "/access", ready: ".plain-table td" },
  { name: "tokens", path: "/access?tab=tokens", ready: "#tokens-title" },
  { name: "audit", path: "/access?tab=audit", ready: ".audit td" },
  { name: "help", path: "/help/coverage", ready: ".document h1" },
];

/** Pages of which no picture is kept. */
const unpictured = /^(mistake|access|tokens|audit|gateway-(policy|trust|distrust|exceptions|rules|changes))$/;

/** What is kept in docs: pages in light English, one in dark, one in Chinese. */
function pictureOf(view: string, language: string, theme: string): string | undefined {
  if (unpictured.test(view)) return undefined;
  if (language === "en" && theme === "light") return `${view}.png`;
  if (view === "drawer" && language === "en") return "drawer-dark.png";
  if (view === "overview" && theme === "light") return "overview-zh.png";
  return undefined;
}

describe.each([
  { language: "en", theme: "light" },
  { language: "en", theme: "dark" },
  { language: "zh", theme: "light" },
  { language: "zh", theme: "dark" },
] as const)("in $language and $theme", ({ language, theme }) => {
  let ui: Console;
  beforeAll(async () => {
    ui = await Console.open(browser, { language, theme, motion: true });
    const machine = new Machine(); // the same in every picture
    machine.processes = machine.processes.filter((c) => c.process.name !== payload);
    await machine.answer(ui.page);
    const gate = new Gate();
    gate.policies = gate.policies.filter((p) => p.name !== payload);
    await gate.answer(ui.page);
  });
  afterAll(() => ui.close());

  const look = async (name: string) => {
    await ui.page.waitForTimeout(600); // charts are drawn and things have moved in
    const picture = pictureOf(name, language, theme);
    if (picture) await ui.page.screenshot({ path: join(pictures, picture) });
    expect(await violations(ui.page)).toEqual([]);
    expect(ui.troubles).toEqual([]);
  };

  it("signs in", async () => {
    await ui.goto("/");
    await ui.page.locator("#username").waitFor();
    await look("sign-in");
    await ui.signIn();
  });

  it.each(views)("shows $name", async ({ name, path, ready, open }) => {
    await ui.goto(path);
    await ui.page.locator(ready).first().waitFor();
    if (open) {
      await ui.page.locator(".grid-body .grid-row .cell-time").first().click();
      await ui.page.locator(".ant-drawer pre").first().waitFor();
    }
    await look(name);
  });
});
