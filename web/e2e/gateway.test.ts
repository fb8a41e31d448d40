import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Console, launch, violations } from "./console";
import { Gate } from "./gateway";

let browser: Browser;
let ui: Console;
let page: Page;

const dialog = () => page.locator(".ant-modal");
const question = (text: string) => dialog().locator(".ant-modal-confirm-title", { hasText: text }).waitFor();
/** A spinner is a part of a button's name until its motion has ended, which can take long where the machine is busy. */
const button = (name: string) => page.getByRole("button", { name: new RegExp(`^(loading )?${name}$`) });
const scope = (number: number) => page.getByRole("group", { name: `Scope ${number}`, exact: true });
const row = (name: string) => page.locator(".policies tbody tr", { hasText: name });
const accessible = async () => expect(await violations(page)).toEqual([]);

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

describe("the gateway of this server", () => {
  it("explains what a policy is while there is none", async () => {
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Gateway", exact: true }).click();
    await page.getByRole("heading", { name: "No policies yet" }).waitFor();
    await accessible();
    await page.getByRole("link", { name: "Make the first policy" }).click();
    await page.waitForURL("**/gateway/new-policy");
    await expect.poll(() => page.locator(".parts [aria-current=page]").innerText()).toBe("Policies");
  });

  it("does not go on without what is needed, and says so", async () => {
    await button("Next").click();
    await page.locator(".field-mistake").first().waitFor();
    await accessible();
  });

  it("makes a trial authority with one click", async () => {
    await page.getByLabel("Name", { exact: true }).fill("The office");
    await expect.poll(() => page.getByLabel("Id", { exact: true }).inputValue()).toBe("the-office");
    await button("Make a trial authority").click();
    await page.getByRole("radio", { name: /trial/ }).waitFor();
    await expect.poll(() => button("Make a trial authority").count()).toBe(0);
    await button("Next").click();
    await scope(1).waitFor();
  });

  it("shows the arithmetic of the quota, and refuses what is over it with the numbers", async () => {
    await scope(1).getByLabel("Sources").fill("10.1.0.0/16\n10.2.0.7");
    await scope(1).getByLabel("Destination ports").fill("443 8443-8450");
    const sum = scope(1).locator(".arithmetic");
    await expect
      .poll(() => sum.innerText())
      .toBe("Units: sources 2 × source port ranges 1 × destinations 2 × destination port ranges 2 = 8");
    await page.getByText("This policy: 8 units. Other policies: 0. Left of 20,000: 19,992.").waitFor();
    const many = Array.from({ length: 1000 }, (_, i) => `10.3.${i >> 8}.${i & 255}`);
    await scope(1).getByLabel("Sources").fill(many.join("\n"));
    await scope(1)
      .getByLabel("Destination ports")
      .fill(Array.from({ length: 11 }, (_, i) => `${8000 + i}/${8000 + i}`).join("\n"));
    const refusal = page.locator(".ant-alert", { hasText: "22,000 units" });
    await expect.poll(() => refusal.innerText()).toMatch(/only 20,000 of 20,000 are free.*2,000 too many/);
    await button("Next").click();
    await accessible();
    await expect.poll(() => page.locator(".scope-facts").count()).toBe(0);
  });

  it("shows a mistake at its field", async () => {
    await scope(1).getByLabel("Sources").fill("10.1.0.1/16");
    await scope(1).getByLabel("Destination ports").fill("443/443");
    await scope(1).locator(".field-mistake", { hasText: "10.1.0.0/16" }).waitFor();
    await button("Next").click();
    await page.getByText("Something here is not right yet.").waitFor();
    await accessible();
    await scope(1).getByLabel("Sources").fill("10.1.0.0/16");
    await scope(1).locator(".field-mistake").waitFor({ state: "detached" });
  });

  it("asks before unsaved changes are left", async () => {
    await page.getByRole("link", { name: "Certificates" }).click();
    await question("Leave without saving?");
    await dialog().getByRole("button", { name: "Stay" }).click();
    await dialog().waitFor({ state: "detached" });
    await expect.poll(() => scope(1).getByLabel("Sources").inputValue()).toBe("10.1.0.0/16");
  });

  it("saves after a review, and lists the policy", async () => {
    await button("Next").click();
    await page.locator(".scope-facts").waitFor();
    await page.getByText("This authority is for a trial").waitFor();
    await accessible();
    await button("Save").click();
    await page.waitForURL("**/gateway/policies");
    const text = await row("the-office").innerText();
    for (const part of ["The office", "scope-1", "trial", "Disabled"]) expect(text).toContain(part);
    await accessible();
  });

  it("enables it, and says what happens to connections", async () => {
    await row("the-office").getByRole("switch").click();
    await dialog().getByText("Connections that are open now go on as they are.").waitFor();
    await accessible();
    await dialog().getByRole("button", { name: "Enable" }).click();
    await row("the-office").getByText("Enabled").waitFor();
  });

  it("does not delete what is enabled", async () => {
    await button("Delete The office").click();
    await question("The office can't be deleted");
    await dialog().getByRole("button", { name: "Close" }).last().click();
    await dialog().waitFor({ state: "detached" });
    await expect.poll(() => row("the-office").count()).toBe(1);
  });

  it("changes it by the same pages, and counts the others' units", async () => {
    await row("the-office").getByRole("link", { name: "The office" }).click();
    await expect.poll(() => page.getByLabel("Id", { exact: true }).isDisabled()).toBe(true);
    await page.getByLabel("Description").fill("Everybody's browsers");
    await button("Next").click();
    await page.getByText("Other policies: 0.").waitFor();
    await button("Next").click();
    await button("Save").click();
    await row("the-office").getByText("Everybody's browsers").waitFor();
    await row("the-office").getByText("Enabled").waitFor();
  });

  it("orders policies", async () => {
    await button("New policy").click();
    await page.getByLabel("Name", { exact: true }).fill("Guests");
    await button("Next").click();
    await scope(1).getByLabel("Sources").fill("10.9.0.0/16");
    await page.getByText("Other policies: 2.").waitFor();
    await button("Next").click();
    await page.getByRole("checkbox", { name: /Enable now/ }).check();
    await button("Save").click();
    await row("guests").getByText("Enabled").waitFor();
    await button("Move Guests up").click();
    await page.waitForFunction(() => document.querySelector(".policies tbody tr")?.textContent.includes("guests"));
  });

  it("disables and then deletes", async () => {
    await row("guests").getByRole("switch").click();
    await dialog().getByText("reset at once").waitFor();
    await dialog().getByRole("button", { name: "Disable" }).click();
    await row("guests").getByText("Disabled").waitFor();
    await button("Delete Guests").click();
    await dialog().getByRole("button", { name: "Delete" }).click();
    await row("guests").waitFor({ state: "detached" });
  });

  it("warns of a certificate that ends, hands it out, and tells how to trust it", async () => {
    await page.getByRole("link", { name: "Certificates" }).click();
    await page.getByText(/The certificate trial ends in \d+ days/).waitFor();
    await expect.poll(() => page.locator(".ant-alert-close-icon").count()).toBe(0);
    const folder = mkdtempSync(join(tmpdir(), "vitrine-e2e-"));
    const download = page.waitForEvent("download");
    await page.getByRole("link", { name: "Root (.crt)" }).click();
    const file = join(folder, (await download).suggestedFilename());
    await (await download).saveAs(file);
    const shown = await page.locator(".authority code").first().innerText();
    const told = execFileSync("openssl", ["x509", "-in", file, "-noout", "-fingerprint", "-sha256"]).toString();
    expect(told).toContain(shown);
    expect(readFileSync(file, "utf8")).not.toContain("PRIVATE");
    rmSync(folder, { recursive: true });
    await page.getByRole("link", { name: "How clients trust it" }).click();
    await page.getByText("sudo cp vitrine-trial.crt /usr/local/share/ca-certificates/").waitFor();
    await accessible();
    const platforms = page.getByRole("navigation", { name: "Platforms" }).getByRole("link");
    await expect.poll(() => platforms.count()).toBe(16);
    await platforms.filter({ hasText: "Java" }).click();
    await page.getByText("-alias vitrine -file vitrine-trial.crt").waitFor();
  });

  it("imports an authority of one's own, and says why it refuses one", async () => {
    const folder = mkdtempSync(join(tmpdir(), "vitrine-e2e-"));
    const at = (name: string) => join(folder, name);
    const make = (name: string, ...key: string[]) =>
      execFileSync("openssl", [
        ...["req", "-x509", "-nodes", "-newkey", ...key, "-days", "1000", "-subj", `/CN=${name}`],
        ...["-addext", "keyUsage=critical,keyCertSign,cRLSign"],
        ...["-keyout", at(`${name}.key`), "-out", at(`${name}.pem`)],
      ]);
    make("weak", "rsa:1024");
    make("own", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1");
    await page.getByRole("link", { name: "Certificates" }).click();
    await button("Import an authority").click();
    const fill = async (name: string) => {
      await dialog()
        .getByLabel("Certificate", { exact: true })
        .fill(readFileSync(at(`${name}.pem`), "utf8"));
      await dialog()
        .getByLabel("Key", { exact: true })
        .fill(readFileSync(at(`${name}.key`), "utf8"));
      await dialog()
        .getByRole("button", { name: /^(loading )?Import$/ })
        .click();
    };
    await dialog().getByLabel("Name of the authority").fill("own");
    await fill("weak");
    await dialog()
      .getByText(/2,?048/)
      .waitFor();
    await accessible();
    await fill("own");
    await page.getByRole("heading", { name: "own", exact: true }).waitFor();
    const remove = async (name: string) => {
      await button(`Delete ${name}`).click();
      await dialog().getByRole("button", { name: "Delete" }).click();
      await page.getByRole("heading", { name, exact: true }).waitFor({ state: "detached" });
    };
    await remove("own");
    execFileSync("openssl", [
      ...["pkcs12", "-export", "-inkey", at("own.key"), "-in", at("own.pem"), "-out", at("own.p12")],
      ...["-passout", "pass:open sesame"],
    ]);
    await button("Import an authority").click();
    await dialog().getByLabel("Name of the authority").fill("both");
    await dialog().getByLabel("PKCS#12 file (.p12, .pfx)").check();
    await dialog().locator("input[type=file]").setInputFiles(at("own.p12"));
    await dialog().getByLabel("Passphrase").fill("open sesame");
    await accessible();
    await dialog()
      .getByRole("button", { name: /^(loading )?Import$/ })
      .click();
    await page.getByRole("heading", { name: "both", exact: true }).waitFor();
    await remove("both");
    await button("Import an authority").click();
    await dialog().getByLabel("Name of the authority").fill("hsm");
    await dialog().getByLabel("PEM file, with the key in a PKCS#11 token").check();
    await dialog()
      .getByLabel("Certificate", { exact: true })
      .fill(readFileSync(at("own.pem"), "utf8"));
    await dialog().getByLabel("Where the key lies").fill("pkcs11:token=a;object=b?module-path=/m.so&pin-value=1");
    await dialog()
      .getByRole("button", { name: /^(loading )?Import$/ })
      .click();
    await dialog()
      .getByText(/none of those that the configuration allows/)
      .waitFor();
    await accessible();
    await dialog().getByRole("button", { name: "Cancel" }).click();
    rmSync(folder, { recursive: true });
    await button("Delete trial").click();
    await dialog().getByText("These policies use it: the-office.").waitFor();
    await dialog().getByRole("button", { name: "Close" }).last().click();
  });

  it("bypasses and blocks by names, addresses and categories", async () => {
    await page.getByRole("link", { name: "Bypass and block" }).click();
    await button("New rule").click();
    await dialog().getByLabel("Id", { exact: true }).fill("privacy");
    await dialog().getByRole("button", { name: "Save" }).click();
    await dialog().locator(".ant-alert-error").waitFor();
    await accessible();
    await dialog()
      .getByRole("checkbox", { name: /Banking/ })
      .check();
    await dialog().getByRole("textbox", { name: "Names" }).fill("*.hr.example hr.example");
    await dialog().getByLabel("Reason").fill("privacy");
    await dialog().getByRole("button", { name: "Save" }).click();
    const rule = page.locator(".exceptions tbody tr", { hasText: "privacy" });
    await expect.poll(() => rule.innerText()).toMatch(/Bypass[\s\S]*Banking, \*\.hr\.example, hr\.example/);
    await button("Edit privacy").click();
    await dialog().getByLabel("Block: end the connection").check();
    await dialog().getByRole("button", { name: "Save" }).click();
    await rule.getByText("Block").waitFor();
    await button("Delete privacy").click();
    await dialog().getByRole("button", { name: "Delete" }).click();
    await rule.waitFor({ state: "detached" });
  });

  it("judges requests by rules, which begin with an example", async () => {
    await ui.goto("/gateway/rules");
    const rules = page.getByRole("textbox", { name: "Rules about requests" });
    const alert = page.locator(".ant-alert-error");
    await button("Insert an example").click();
    await button("Save").click();
    await page.getByText("The rules are saved.").waitFor();
    await expect.poll(() => button("Save").isDisabled()).toBe(true);
    await rules.press("Control+End");
    await page.keyboard.type("- id: no-uploads\naction: blok\napplications: [dropbox]\n");
    await accessible();
    await button("Save").click();
    await alert.getByText('has no key "action"').waitFor();
    await expect.poll(() => alert.getByRole("button", { name: /^Line \d+$/ }).count()).toBe(2);
    await accessible();
    await rules.fill("rules:\n- id: no-uploads\n  action: blok\n  applications: [dropbox]\n");
    await button("Save").click();
    await alert.getByText('action is "blok"').waitFor();
    await alert.getByRole("button", { name: "Line 2" }).click();
    await expect.poll(() => page.evaluate(() => getSelection()?.toString())).toBe("- id: no-uploads");
    await page.getByRole("link", { name: "Certificates" }).click();
    await question("Leave without saving?");
    await dialog().getByRole("button", { name: "Stay" }).click();
    await dialog().waitFor({ state: "detached" });
    await rules.fill("rules:\n- id: no-uploads\n  action: block\n  applications: [dropbox]\n");
    await button("Save").click();
    await button("Save").and(page.locator(":disabled")).waitFor();
    await expect.poll(() => alert.count()).toBe(0);
    await page.reload();
    await rules.getByText("id: no-uploads").waitFor();
    await expect.poll(() => rules.innerText()).toContain("action: block");
    await page.getByRole("textbox", { name: "Find an application or host" }).fill("dropboxapi");
    await expect
      .poll(() => page.locator(".applications tbody tr").allInnerTexts())
      .toEqual([expect.stringContaining("Dropbox")]);
  });

  it("says that nobody refuses its certificates, and who changed what", async () => {
    await page.getByRole("link", { name: "Who does not trust us" }).click();
    await page.getByText("no client has refused").waitFor();
    await page.getByRole("link", { name: "Changes" }).click();
    await page.locator(".changes tbody tr").first().waitFor();
    const text = await page.locator(".changes tbody").innerText();
    for (const action of ["policy.create", "policy.enable", "policy.delete", "rules.change"])
      expect(text).toContain(action);
    await accessible();
  });

  it("is read by others, and changed by administrators only", async () => {
    const account = { name: `gus-${Date.now()}`, password: "a long password" };
    const made = await page.request.post(new URL("/api/v1/users", page.url()).href, {
      data: { ...account, role: "viewer" },
    });
    expect(made.ok()).toBe(true);
    const other = await Console.open(browser, { language: "en" });
    await other.signIn(account.name, account.password);
    await other.goto("/gateway/policies");
    await other.page.locator(".policies tbody tr").first().waitFor();
    await expect.poll(() => other.page.getByRole("switch").isDisabled()).toBe(true);
    await expect.poll(() => other.page.getByRole("button", { name: /New policy|Delete/ }).count()).toBe(0);
    await expect.poll(() => other.page.getByRole("link", { name: "Changes" }).count()).toBe(0);
    await other.page.getByRole("link", { name: "Rules", exact: true }).click();
    const rules = other.page.getByRole("textbox", { name: "Rules about requests" });
    await expect.poll(() => rules.getAttribute("aria-readonly")).toBe("true");
    await expect.poll(() => other.page.getByRole("button", { name: "Save" }).count()).toBe(0);
    expect(other.troubles).toEqual([]);
    await other.close();
  });
});

it("says that the gateway is off, and how to turn it on", async () => {
  const other = await Console.open(browser, { language: "en" });
  await other.signIn();
  const gate = new Gate();
  gate.running = false;
  await gate.answer(other.page);
  await other.goto("/gateway");
  await other.page.getByText("The gateway is off").waitFor();
  await other.page.getByText("sudo vitrine up --gateway").waitFor();
  await other.page.locator(".policies tbody tr").first().waitFor();
  expect(other.troubles).toEqual([]);
  await other.close();
});

it("shows what was learnt about pins, and takes an approval", async () => {
  const other = await Console.open(browser, { language: "en" });
  await other.signIn();
  await new Gate().answer(other.page);
  await other.goto("/gateway/exceptions");
  const pin = other.page.locator(".pins tbody tr", { hasText: "updates.vendor.example" });
  const text = await pin.innerText();
  for (const part of ["learnt", "times: 41, clients: 6", "for all clients"]) expect(text).toContain(part);
  await other.page.getByRole("button", { name: "Approve updates.vendor.example" }).click();
  await pin.getByText("approved").waitFor();
  await expect.poll(() => pin.innerText()).toContain("never");
  expect(await other.pwned()).toBe(false);
  expect(other.troubles).toEqual([]);
  await other.close();
});
