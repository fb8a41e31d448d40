import { request, type Browser, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { address, Console, launch, violations } from "./console";

let browser: Browser;
let ui: Console;
let page: Page;

const dialog = () => page.locator(".ant-modal");
const tab = (name: string) => page.getByRole("tab", { name, exact: true }).click();
const accessible = async () => expect(await violations(page)).toEqual([]);

/** What the server answers to a program with a token. */
const status = async (token: string) => {
  const program = await request.newContext({
    ignoreHTTPSErrors: true,
    extraHTTPHeaders: { Authorization: `Bearer ${token}` },
  });
  const answer = await program.get(`${address}/api/v1/system`);
  await program.dispose();
  return answer.status();
};

beforeAll(async () => {
  browser = await launch();
  ui = await Console.open(browser, { language: "en", theme: "light" });
  page = ui.page;
  await ui.signIn();
});

afterAll(() => browser.close());

afterEach(() => expect(ui.troubles).toEqual([]));

it("is reached from the account's menu", async () => {
  await page.getByRole("button", { name: "Account admin" }).click();
  await page.getByRole("menuitem", { name: "Accounts and tokens" }).click();
  await page.waitForURL("**/access");
  await page.locator("tr", { hasText: "administrator" }).waitFor();
  await accessible();
});

it("makes an account that can sign in, and deletes it", async () => {
  const account = { name: `eve-${Date.now()}`, password: "a long password" };
  await page.getByRole("button", { name: "New account" }).click();
  await dialog().getByLabel("Name").fill(account.name);
  await dialog().getByLabel("First password").fill("short");
  await dialog().getByRole("button", { name: "Make" }).click();
  await dialog().locator(".ant-form-item-explain-error", { hasText: "12 characters or more" }).waitFor();
  await accessible();
  await dialog().getByLabel("First password").fill(account.password);
  await dialog().getByRole("button", { name: "Make" }).click();
  const row = page.locator("tr", { hasText: account.name });
  await row.getByText("viewer").waitFor();

  const other = await Console.open(browser, { language: "en" });
  await other.signIn(account.name, account.password);
  await other.goto("/access");
  await other.page.getByText("No tokens yet.").waitFor();
  await expect.poll(() => other.page.getByRole("tab").allInnerTexts()).toEqual(["API tokens"]);
  await other.goto("/coverage");
  await other.page.getByRole("heading", { name: "Coverage" }).waitFor();
  await expect.poll(() => other.page.getByRole("button", { name: "Change", exact: true }).count()).toBe(0);
  expect(other.troubles).toEqual([]);
  await other.close();

  await page.getByRole("button", { name: `Delete ${account.name}` }).click();
  await dialog().getByRole("button", { name: "Delete" }).click();
  await row.waitFor({ state: "detached" });
});

it("says why the last administrator stays", async () => {
  await page.getByRole("button", { name: "Delete admin" }).click();
  await dialog().getByRole("button", { name: "Delete" }).click();
  await page.getByText("This is the last administrator").waitFor();
});

it("makes a token that lets in, and revokes it", async () => {
  const name = `script-${Date.now()}`;
  await tab("API tokens");
  await page.getByRole("button", { name: "New token" }).click();
  await dialog().getByLabel("Name").fill(name);
  await dialog().getByLabel("7 days").check();
  await accessible();
  await dialog().getByRole("button", { name: "Make" }).click();
  const secret = await dialog().locator(".command code").innerText();
  expect(await status(secret)).toBe(200);
  await dialog().getByRole("button", { name: "Close" }).last().click();
  const row = page.locator("tr", { hasText: name });
  await row.getByText("viewer").waitFor();
  await accessible();
  await page.getByRole("button", { name: `Revoke ${name}` }).click();
  await dialog().getByRole("button", { name: "Revoke" }).click();
  await row.waitFor({ state: "detached" });
  expect(await status(secret)).toBe(401);
});

it("shows what was done", async () => {
  await tab("Audit trail");
  await page.getByRole("textbox", { name: "Find an entry" }).fill("token.create script-");
  const entry = page.locator(".audit tbody tr").first();
  await entry.getByText("token.create").waitFor();
  await expect.poll(() => entry.innerText()).toMatch(/admin[\s\S]*done/);
  await accessible();
});
