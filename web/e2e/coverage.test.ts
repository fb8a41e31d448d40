import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { address, Console, launch, violations } from "./console";
import { Machine } from "./probe";
import type { Probe } from "../src/api/types";

let browser: Browser;
let ui: Console;
let page: Page;
let machine: Machine;

const rows = () => page.locator(".process-table tbody tr");
const names = async () =>
  (await page.locator(".process-table .process-process a").allInnerTexts()).map((name) => name.replace(/\s+/g, " "));

const accessible = async () => {
  await page.waitForTimeout(400); // colours and places that change do so slowly
  expect(await violations(page)).toEqual([]);
};

beforeAll(async () => {
  browser = await launch();
  ui = await Console.open(browser, { language: "en", theme: "light" });
  page = ui.page;
  await ui.signIn();
});

afterAll(() => browser.close());

afterEach(async () => {
  expect(ui.troubles).toEqual([]);
  expect(await ui.pwned()).toBe(false);
});

describe("this machine", () => {
  it("shows what its probe sees, or why there is none", async () => {
    const { state, detail = "" } = (await (await page.request.get(`${address}/api/v1/probe`)).json()) as Probe;
    await ui.goto("/coverage");
    if (state === "off") {
      await page.getByRole("heading", { name: "The probe is off" }).waitFor();
      await page.getByText(detail).waitFor();
      return;
    }
    // The browser that looks at the page uses TLS itself.
    await page.getByRole("textbox", { name: "Find a program, library or pod" }).fill("chrom");
    await rows().filter({ hasText: "chrom" }).first().waitFor();
    await page.getByRole("heading", { name: "What the kernel allows" }).waitFor();
  });
});

describe("a machine with a probe", () => {
  beforeAll(async () => {
    machine = new Machine();
    await machine.answer(page);
    await ui.goto("/coverage");
    await rows().first().waitFor();
  });

  it("shows what is not seen first, with the reason and what to do", async () => {
    await expect.poll(() => names()).toHaveLength(6);
    const java = rows().filter({ hasText: "java" });
    const text = await java.innerText();
    for (const part of ["Not seen: unknown library", "key log", "A Java virtual machine", "store/billing-0"])
      expect(text).toContain(part);
    await expect.poll(async () => (await names()).slice(0, 3)).toContain("java (1533)");
    await page.getByText("TLS libraries in them: 8, of which wholly seen: 3 (37.5%)").waitFor();
  });

  it("sorts and searches", async () => {
    await page.getByRole("button", { name: "Plaintext" }).click();
    await expect.poll(async () => (await names())[0]).toBe("nginx (812)");
    await expect.poll(() => page.locator("th[aria-sort=descending]").innerText()).toContain("Plaintext");
    await page.getByRole("textbox", { name: "Find a program, library or pod" }).fill("store 1.26");
    await page.waitForFunction(() => document.querySelectorAll(".process-table tbody tr").length === 1);
    await expect.poll(() => names()).toEqual(["shop (2201)"]);
    await page.getByRole("textbox", { name: "Find a program, library or pod" }).fill("");
    await page.locator(".ant-segmented-item", { hasText: "Not seen: 5" }).click();
    await expect.poll(() => rows().count()).toBe(3);
    await page.locator(".ant-segmented-item", { hasText: "All: 8" }).click();
  });

  it("has one row for all processes of a program, which opens to each", async () => {
    const group = rows().filter({ hasText: "3 processes" });
    const text = await group.innerText();
    for (const part of ["chromium", "Linked into it: boringssl, without its symbols", "static, without symbols"])
      expect(text).toContain(part);
    const button = group.getByRole("button", { name: "3 processes" });
    await expect.poll(() => button.getAttribute("aria-expanded")).toBe("false");
    await button.click();
    await expect.poll(() => button.getAttribute("aria-expanded")).toBe("true");
    const members = page.locator(".process-member .process-name");
    await expect
      .poll(async () => (await members.allInnerTexts()).map((name) => name.replace(/\s+/g, " ")))
      .toEqual([3001, 3002, 3007].map((pid) => `chromium (${pid})`));
    await accessible();
    await button.click();
    await expect.poll(() => members.count()).toBe(0);
    await group.getByRole("link", { name: "chromium" }).click();
    await page.waitForURL(/\/logs\?q=process\.exe%3A/);
    await page.goBack();
    await rows().first().waitFor();
  });

  it("follows the machine", async () => {
    machine.processes = machine.processes.filter((c) => c.process.name !== "curl");
    await page.waitForFunction(() => document.querySelectorAll(".process-table tbody tr").length === 5);
  });

  it("leads from a reason to its place in the documentation, and from a program to its events", async () => {
    await rows().filter({ hasText: "java" }).getByRole("link", { name: "More on this" }).click();
    await page.waitForURL("**/help/coverage#unknown_library");
    const place = page.locator("tr.doc-place");
    await place.waitFor();
    await expect.poll(() => place.innerText()).toContain("unknown_library");
    await expect.poll(() => place.evaluate((e) => e.getBoundingClientRect().top < innerHeight)).toBe(true);
    await page.goBack();
    await rows().filter({ hasText: "nginx" }).getByRole("link").first().click();
    await page.waitForURL(/\/logs\?q=process\.pid%3A812\+and\+process\.name%3Anginx/);
    await page.goBack();
    await rows().first().waitFor();
  });

  it("has a filter that is written, tried, put in force and undone", async () => {
    await page.getByRole("button", { name: "Change" }).click();
    const drawer = page.locator(".ant-drawer");
    await drawer.getByLabel("Everything except what fits one of the rules").check();
    await drawer.getByRole("button", { name: "Put in force" }).click();
    await drawer.getByText("the rule says nothing").first().waitFor();
    await drawer.getByLabel("Server ports").fill("web");
    await drawer.locator(".field-mistake", { hasText: "it is no port" }).waitFor();
    await drawer.getByLabel("Server ports").fill("");
    await drawer.getByLabel("Command name").fill("nginx");
    await drawer.locator("summary", { hasText: "Left out: 1" }).waitFor();
    await drawer.locator("summary", { hasText: "Seen: 6" }).waitFor();
    await accessible();
    await drawer.getByRole("button", { name: "Put in force" }).click();
    await page.getByText("The filter is in force.").waitFor();
    const card = page.locator("section", { has: page.locator("#filter-title") });
    await card.getByText("Everything except what fits one of the rules").waitFor();
    await expect.poll(() => card.locator(".condition").innerText()).toBe("Command name nginx");
    await card.getByRole("button", { name: "Undo" }).click();
    await page.locator(".ant-modal").getByRole("button", { name: "Undo" }).click();
    await card.getByText("Everything that the probe can see").waitFor();
    expect(machine.set).toEqual([
      { mode: "except", rules: [{ name: "nginx" }] },
      { mode: "everything", rules: [] },
    ]);
  });

  it("says that it is paused, why, until when, and goes on when told to", async () => {
    machine.probe = {
      ...machine.probe,
      ...{
        state: "paused",
        reason: "paused_over_budget",
        detail: "71 % of a core for 10 s",
        cause: "over_cpu",
        taken: 0.71,
      },
      next_try: new Date(Date.now() + 500_000).toISOString(),
    };
    const alert = page.locator(".ant-alert", { has: page.locator(".probe-paused") });
    await alert.getByText("The probe is paused: no program is seen into").waitFor();
    const text = await alert.innerText();
    for (const part of ["CPU and memory budget", "It took 71% of a core; the limit is 60%.", "It tries again at"])
      expect(text).toContain(part);
    await accessible();
    await alert.getByRole("button", { name: "Resume now" }).click();
    await alert.waitFor({ state: "detached" });
  });

  it("says that no program uses TLS", async () => {
    machine.processes = [];
    await page.getByText("No program uses TLS now.").waitFor();
  });

  it("says that the probe is off, why and what to do", async () => {
    machine.probe = { ...machine.probe, state: "off", detail: "seeing into programs needs root" };
    await page.getByRole("heading", { name: "The probe is off" }).waitFor();
    await page.getByText("seeing into programs needs root").waitFor();
    await expect.poll(() => page.locator(".process-table").count()).toBe(0);
    await accessible();
  });
});

describe("a group of processes", () => {
  const looks = (["en", "zh"] as const).flatMap((language) =>
    (["light", "dark"] as const).map((theme) => ({ language, theme })),
  );
  it.each(looks)("is accessible when it is open: $language, $theme", async (look) => {
    const other = await Console.open(browser, look);
    await other.signIn();
    await new Machine().answer(other.page);
    await other.goto("/coverage");
    await other.page.locator(".process-toggle").click();
    const text = await other.page.locator(".process-table tbody").innerText();
    expect(text).toContain(look.language === "en" ? "A Java virtual machine" : "Java 虚拟机");
    await other.page.waitForTimeout(400);
    expect(await violations(other.page)).toEqual([]);
    expect(other.troubles).toEqual([]);
    await other.context.close();
  });
});

describe("the help", () => {
  it("has every page of the documentation", async () => {
    await ui.goto("/help");
    await page.waitForURL("**/help/coverage");
    const links = page.locator(".help nav a");
    await expect.poll(() => links.count()).toBeGreaterThan(3);
    for (const title of await links.allInnerTexts()) {
      await page.getByRole("link", { name: title, exact: true }).click();
      await page.locator(".document h1", { hasText: title }).waitFor();
      await accessible();
    }
  });

  it("opens at the place in the address", async () => {
    await ui.goto("/help/reason-codes#tunnelled");
    await page.locator("tr.doc-place", { hasText: "tunnelled" }).waitFor();
  });
});
