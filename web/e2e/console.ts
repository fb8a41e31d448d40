import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import { inject } from "vitest";

/** Address of the server, and the password of its account admin. */
export const address = inject("address");
export const password = inject("password");

const flags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: flags });
}

export interface Look {
  language?: "en" | "zh";
  theme?: "light" | "dark";
  motion?: boolean;
}

/** A page of the console, with a record of everything that must not happen. */
export class Console {
  readonly troubles: string[] = [];

  private constructor(
    readonly context: BrowserContext,
    readonly page: Page,
  ) {}

  static async open(browser: Browser, look: Look = {}): Promise<Console> {
    const context = await browser.newContext({
      viewport: { width: 1440, height: 900 },
      ignoreHTTPSErrors: true,
      acceptDownloads: true,
      locale: "en-GB",
      timezoneId: "UTC",
      reducedMotion: look.motion ? "no-preference" : "reduce", // on a busy machine, dialogs move out from under a click
    });
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    await context.addInitScript(({ language, theme }: Look) => {
      if (language && !localStorage.getItem("vitrine.language"))
        localStorage.setItem("vitrine.language", JSON.stringify(language));
      if (theme && !localStorage.getItem("vitrine.theme")) localStorage.setItem("vitrine.theme", JSON.stringify(theme));
      document.addEventListener("securitypolicyviolation", (e) =>
        console.error(`policy: ${e.violatedDirective} ${e.blockedURI}`),
      );
    }, look);
    context.setDefaultTimeout(30_000);
    const made = new Console(context, await context.newPage());
    made.watch();
    return made;
  }

  private watch(): void {
    this.page.on("dialog", (dialog) => {
      this.troubles.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    this.page.on("pageerror", (error) => this.troubles.push(`error: ${error.message}`));
    this.page.on("console", (message) => {
      if (message.type() !== "error" && message.type() !== "warning") return;
      // The browser itself reports answers that the console asked for knowing that they may be errors.
      if (/the server responded with a status of (401|404|409|422|429)/.test(message.text())) return;
      this.troubles.push(`${message.type()}: ${message.text()}`);
    });
  }

  async goto(path: string): Promise<void> {
    await this.page.goto(address + path);
  }

  async signIn(name = "admin", secret = password): Promise<void> {
    await this.goto("/");
    await this.page.locator("#username").fill(name);
    await this.page.locator("#password").fill(secret);
    await this.page.keyboard.press("Enter");
    await this.page.locator("header nav").waitFor();
  }

  /** Uploads files on the import page and waits until their import is done. Returns the address of its results. */
  async import(files: { name: string; mimeType: string; buffer: Buffer }[]): Promise<string> {
    await this.goto("/import");
    const items = this.page.locator(".import-item");
    await this.page.locator(".drop").waitFor();
    const before = await this.page.locator(".import-item a").count();
    await this.page.locator("input[type=file]").setInputFiles(files);
    await this.page.getByRole("button", { name: "Import", exact: true }).click();
    await this.page.waitForFunction((n) => document.querySelectorAll(".import-item a").length > n, before, {
      timeout: 60_000,
    });
    await items.first().locator(".state-good").waitFor({ timeout: 60_000 });
    return (await items.first().locator("a").getAttribute("href")) ?? "";
  }

  async pwned(): Promise<boolean> {
    return this.page.evaluate(() => "pwned" in window);
  }

  close(): Promise<void> {
    return this.context.close();
  }
}

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** The violations of WCAG 2.2 A and AA on the page, as axe-core finds them. */
export async function violations(page: Page): Promise<string[]> {
  // Through the debugger, which the policy of the page does not bind.
  const session = await page.context().newCDPSession(page);
  const tags = JSON.stringify(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]);
  const expression = `${axe}; axe.run(document, {runOnly: ${tags}}).then(r => JSON.stringify(r.violations.map(v => v.id + " " + v.nodes.map(n => n.target.join(" ")).join(", "))))`;
  const answer = await session.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
  await session.detach();
  return JSON.parse(String(answer.result.value)) as string[];
}
