import type { Browser, Page } from "playwright-core";
import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { address, Console, launch } from "./console";
import { makePlainCapture, makeTraffic, payload, type Traffic } from "./traffic";

let browser: Browser;
let ui: Console;
let page: Page;
let traffic: Traffic;
let results: string; // address of the search for what was imported

// The capture is of a time at which the server itself captures nothing.
const began = Date.now() - 48 * 3600_000;
const time = (after: number) => new Date(began + after).toISOString();
const period = `since=${time(-60_000)}&until=${time(60_000)}`;

const file = (name: string, buffer: Buffer) => ({ name, mimeType: "application/octet-stream", buffer });
const rows = () => page.locator(".grid-body .grid-row");
const search = async (q: string) => {
  await page.locator(".cm-content").press("Control+a");
  await page.keyboard.insertText(q);
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => (url.searchParams.get("q") ?? "") === q);
};
const imported = () => new URL(results, address).searchParams.get("q") ?? "";
const openFirst = async () => {
  await rows().first().locator(".cell-time").click();
  await page.locator(".ant-drawer .ant-tabs").waitFor();
};
const tab = (name: string) => page.locator(".ant-drawer").getByRole("tab", { name, exact: true }).click();

beforeAll(async () => {
  traffic = await makeTraffic(began);
  browser = await launch();
  ui = await Console.open(browser, { language: "en", theme: "light" });
  page = ui.page;
});

afterAll(() => browser.close());

afterEach(async () => {
  expect(ui.troubles).toEqual([]);
  expect(await ui.pwned()).toBe(false);
});

describe("signing in", () => {
  it("refuses a wrong password in words", async () => {
    await ui.goto("/");
    await page.locator("#username").fill("admin");
    await page.locator("#password").fill("not the password");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").getByText("User name or password is wrong.").waitFor();
  });

  it("lets in with the right one", async () => {
    await ui.signIn();
    await page.waitForURL("**/overview");
  });
});

describe("importing", () => {
  it("tells captures from key logs and shows the results", async () => {
    results = await ui.import([file("traffic.pcap", traffic.capture), file("keys.txt", Buffer.from(traffic.keylog))]);
    expect(results).toMatch(/q=import%3A[0-9a-f]{32}/);
    const line = await page.locator(".import-item").first().innerText();
    expect(line).toContain("Connections: 5");
    expect(line).toContain("TLS connections decrypted: 3");
  });

  it("tells in words why a file is no capture", async () => {
    await page
      .locator("input[type=file]")
      .setInputFiles([file(`${payload.replaceAll("/", "")}.pcap`, Buffer.from("this is no capture"))]);
    await page.getByRole("button", { name: "Import", exact: true }).click();
    await page.locator(".import-item .state-bad, .ant-alert-error").first().waitFor();
    await page.reload();
    await page.locator(".import-item").first().waitFor();
  });
});

describe("the overview", () => {
  it("counts what was imported", async () => {
    await ui.goto(`/overview?${period}`);
    const tile = page.locator(".tile", { hasText: "Coverage" });
    await tile.getByText("3 of 4 TLS connections").waitFor();
    await expect.poll(() => tile.locator(".tile-value").innerText()).toBe("75%");
    await expect
      .poll(() => page.locator(".tile", { hasText: "Connections" }).first().locator(".tile-value").innerText())
      .toBe("5");
    await page.locator(".top-hosts").getByText("bulk.example").waitFor();
    const sources = page.locator(".legend li", { hasText: "Session keys" });
    await expect.poll(() => sources.innerText()).toMatch(/3\s*100%/);
  });

  it("says why the rest was not decrypted, and leads there", async () => {
    await page.locator(".reasons").getByRole("link", { name: "no key" }).click();
    await page.waitForURL(/q=kind%3Atls\+and\+reason%3Ano_key/);
    await rows().first().waitFor();
    await expect.poll(() => rows().count()).toBe(1);
    await expect.poll(() => rows().first().innerText()).toContain("secret.example");
    await expect.poll(() => rows().first().innerText()).toContain("Not decrypted: no key");
  });
});

describe("searching", () => {
  it("finds what was imported", async () => {
    await ui.goto(results);
    await rows().first().waitFor();
    await page.locator(".histogram canvas").waitFor();
    await expect.poll(() => page.locator(".result-line").innerText()).toMatch(/200 events shown/);
  });

  it("filters by Decrypted and by kind with one click each", async () => {
    await page.getByRole("button", { name: "Decrypted", exact: true }).click();
    await page.waitForURL(/decrypted%3Ayes/);
    await page.getByRole("button", { name: "File", exact: true }).click();
    await page.waitForURL(/kind%3Afile/);
    await page.waitForFunction(() =>
      [...document.querySelectorAll(".grid-body .kind")].every((k) => k.textContent === "File"),
    );
    for (const label of await page.locator(".grid-body .label").allInnerTexts()) expect(label).toBe("Decrypted");
    await page.getByRole("button", { name: "Decrypted", exact: true }).click();
    await page.waitForURL((url) => !url.search.includes("decrypted"));
  });

  it("filters by a clicked value", async () => {
    await ui.goto(results);
    await search(`${imported()} and kind:http and http.host:shop.example`);
    await page.waitForFunction(() => document.querySelectorAll(".grid-body .grid-row").length === 6);
    await rows().locator(".cell-status .value", { hasText: "404" }).first().click();
    await page.getByRole("menuitem", { name: "Filter this out" }).click();
    await page.waitForURL(/not\+http\.status%3A404/);
    await page.waitForFunction(() => document.querySelectorAll(".grid-body .grid-row").length === 4);
  });

  it("marks a mistake where it is and mends it with one click", async () => {
    await search("htp.host:shop.example");
    await page.locator(".cm-lintRange-error").waitFor();
    await expect.poll(() => page.locator(".cm-lintRange-error").innerText()).toBe("htp.host");
    await page.getByRole("button", { name: "Change to http.host" }).click();
    await page.waitForURL(/q=http\.host%3Ashop\.example/);
    await rows().first().waitFor();
  });

  it("completes fields and values", async () => {
    await page.locator(".cm-content").press("Control+a");
    await page.keyboard.type("decr");
    await page.locator(".cm-tooltip-autocomplete li", { hasText: "decrypted" }).first().waitFor();
    await page.keyboard.press("Escape");
  });

  it("scrolls through more than one page", async () => {
    await ui.goto("/");
    await ui.goto(`/logs?since=7d&q=${encodeURIComponent(`${imported()} and kind:http and http.host:bulk.example`)}`);
    await rows().first().waitFor();
    await page.locator(".grid").focus();
    const end = page.getByText("No more events");
    const oldest = rows().filter({ hasText: "/item/0" });
    for (let i = 0; i < 50 && !((await end.isVisible()) && (await oldest.isVisible())); i++) {
      await page.keyboard.press("End");
      await page.waitForTimeout(200); // a page is on its way
    }
    await end.waitFor();
    await expect.poll(() => page.locator(".result-line").innerText()).toContain("450 events shown");
    await expect.poll(() => rows().count()).toBeLessThan(100);
    await expect.poll(() => rows().last().innerText()).toContain("/item/0");
  });

  it("goes from event to event by keyboard alone", async () => {
    await ui.goto("/logs?since=7d");
    await page.locator(".grid").waitFor();
    await page.keyboard.press("Tab");
    await expect.poll(() => page.evaluate(() => document.activeElement?.className)).toBe("skip-link");
    await page.keyboard.press("Enter");
    await page.keyboard.press("/");
    await page.keyboard.type(`${imported()} and http.url:/api/items*`);
    await page.keyboard.press("Escape");
    await page.locator(".cm-content").focus();
    await page.keyboard.press("Enter");
    await page.waitForURL(/items/);
    await page.waitForFunction(() => document.querySelectorAll(".grid-body .grid-row").length === 2);
    while (!(await page.evaluate(() => document.activeElement?.classList.contains("grid"))))
      await page.keyboard.press("Tab");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.locator(".ant-drawer .ant-tabs").waitFor();
    const first = new URL(page.url()).searchParams.get("id");
    await page.keyboard.press("ArrowDown");
    await page.waitForURL((url) => url.searchParams.get("id") !== first);
    await page.keyboard.press("Escape");
    await page.waitForURL((url) => !url.searchParams.has("id"));
  });
});

describe("an event", () => {
  it("shows the restored request and response", async () => {
    await ui.goto(`/logs?since=7d&q=${encodeURIComponent(`${imported()} and decrypted:yes and http.url:/api/items*`)}`);
    await openFirst();
    const drawer = page.locator(".ant-drawer");
    await drawer.getByText("GET /api/items?page=1 HTTP/1.1").waitFor();
    await drawer.locator("pre", { hasText: "灯塔" }).waitFor();
    await expect.poll(() => drawer.locator("pre").innerText()).toContain('"name": "lighthouse"');
    await drawer.getByText("gzip (", { exact: false }).waitFor();
    await drawer.locator(".ant-segmented-item", { hasText: "Hex" }).click();
    await expect.poll(() => drawer.locator("pre").innerText()).toMatch(/^00000000 {2}7b 22 69 74/);
  });

  it("tells the facts of TLS and of the connection", async () => {
    await tab("TLS");
    const drawer = page.locator(".ant-drawer");
    await drawer.getByText("TLS 1.3").first().waitFor();
    await drawer.getByText(/^t13d/).waitFor();
    await tab("Connection");
    await drawer.getByText(/^1:/).waitFor();
    await tab("Same connection");
    await drawer.locator(".related-item").nth(3).waitFor();
  });

  it("tells what the gateway decided, and by which rule", async () => {
    const policy = { action: "block", id: "office", scope: "browsers", rule: "no-evil" };
    await page.route(/\/api\/v1\/events\/[0-9a-f]+$/, async (route) => {
      const answer = await route.fetch();
      await route.fulfill({ response: answer, json: { ...((await answer.json()) as object), policy } });
    });
    await page.reload();
    await tab("Connection");
    const facts = page.locator(".ant-drawer h2", { hasText: "Gateway" }).locator("+ dl");
    await expect.poll(() => facts.locator("dd").allInnerTexts()).toEqual(["blocked", "office", "browsers", "no-evil"]);
    await page.unrouteAll({ behavior: "wait" });
  });

  it("shows safe images only", async () => {
    await ui.goto(`/logs?since=7d&q=${encodeURIComponent(`${imported()} and decrypted:yes and http.url:/logo.png`)}`);
    await openFirst();
    const image = page.locator(".body-image img");
    await image.waitFor();
    await page.waitForFunction(() => document.querySelector<HTMLImageElement>(".body-image img")?.naturalWidth === 64);
    await ui.goto(`/logs?since=7d&q=${encodeURIComponent(`${imported()} and http.url:/image.svg`)}`);
    await openFirst();
    await page.locator(".ant-drawer pre", { hasText: "onload" }).waitFor();
    expect(await image.count()).toBe(0);
  });

  it("hands out packets before and after decryption", async () => {
    await tab("Packets");
    for (const name of ["Packets as captured", "Packets as captured, with session keys", "Plaintext packets"]) {
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("button", { name, exact: true }).click(),
      ]);
      const bytes = readFileSync(await download.path());
      expect(bytes.readUInt32LE(0), name).toBe(0x0a0d0d0a); // a section header block of pcapng
      expect(bytes.includes("onload"), name).toBe(name === "Plaintext packets");
      expect(bytes.includes("CLIENT_TRAFFIC_SECRET_0"), name).toBe(name.includes("keys"));
    }
  });
});

describe("hostile traffic", () => {
  it("is text everywhere", async () => {
    await ui.goto(
      `/logs?since=7d&columns=time,kind,decrypted,client,server,name,summary,tls.sni,http.url&q=${encodeURIComponent(`${imported()} and onerror`)}`,
    );
    await rows().first().waitFor();
    const seen = new Set<string>();
    for (let i = 0; i < Math.min(8, await rows().count()); i++) {
      await rows().nth(i).locator(".cell-time").click();
      await page.locator(".ant-drawer .ant-tabs").waitFor();
      for (const name of await page.locator(".ant-drawer [role=tab]").allInnerTexts()) {
        seen.add(name);
        await tab(name);
        await page.waitForTimeout(120);
      }
      await page.locator(".ant-drawer-close").click();
    }
    expect([...seen]).toEqual(expect.arrayContaining(["Content", "TLS", "JSON"]));
    await ui.goto(`/overview?${period}`);
    await page.locator(".top-hosts").waitFor();
  });

  it("shows what can't be seen", async () => {
    await ui.goto(`/logs?since=7d&q=${encodeURIComponent(`${imported()} and kind:http and http.url:*onerror*`)}`);
    await openFirst();
    await page.locator(".ant-drawer .headers .hidden-char", { hasText: "U+202E" }).waitFor();
  });

  it("loads nothing but files of the console", async () => {
    const foreign: string[] = [];
    page.on("request", (request) => {
      if (!request.url().startsWith(address) && !request.url().startsWith("blob:")) foreign.push(request.url());
    });
    await page.reload();
    await page.locator(".ant-drawer .ant-tabs").waitFor();
    expect(foreign).toEqual([]);
  });
});

describe("the live tail", () => {
  it("shows events as they come and waits while one looks", async () => {
    const host = `live-${Date.now()}.example`;
    const second = await Console.open(browser, { language: "en" });
    try {
      await second.signIn();
      await ui.goto(`/logs?live=1&q=${encodeURIComponent(`http.host:${host}`)}`);
      await page.getByText("Live: 0 events").waitFor();
      await second.import([file("live.pcap", makePlainCapture(host))]);
      await rows().first().waitFor();
      await expect.poll(() => rows().first().innerText()).toContain("GET /live");
      await rows().first().hover();
      await page.getByText("Paused while you look").waitFor();
    } finally {
      await second.close();
    }
  });
});

describe("the look", () => {
  it("changes language and colours, and remembers them", async () => {
    await ui.goto("/overview");
    await page.getByRole("button", { name: "EN" }).click();
    await page.getByRole("menuitem", { name: "中文" }).click();
    await page.getByRole("link", { name: "概览" }).waitFor();
    await page.getByRole("button", { name: "配色" }).click();
    await page.getByRole("menuitem", { name: "深色" }).click();
    await page.waitForFunction(() => document.documentElement.dataset.theme === "dark");
    const fresh = await ui.context.newPage();
    await fresh.goto(`${address}/system`);
    await fresh.getByRole("link", { name: "系统" }).waitFor();
    await fresh.waitForFunction(() => document.documentElement.dataset.theme === "dark");
    await fresh.close();
  });
});

describe("signing out", () => {
  it("shows nothing any more", async () => {
    const other = await Console.open(browser, { language: "en" });
    await other.signIn();
    await other.page.getByRole("button", { name: "Account admin" }).click();
    await other.page.getByRole("menuitem", { name: "Sign out" }).click();
    await other.page.locator("#username").waitFor();
    await other.goto("/logs");
    await other.page.locator("#username").waitFor();
    expect(other.troubles).toEqual([]);
    await other.close();
  });
});
