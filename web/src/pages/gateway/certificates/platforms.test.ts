import { expect, it } from "vitest";
import en from "../../../i18n/en.json";
import { fileOf, platforms } from "./platforms";

const all = platforms("root.crt", "root.jks");

it("has each platform once", () => {
  const ids = all.map((p) => p.id);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of "debian rhel suse arch alpine windows macos firefox chromium java node python git curl docker kubernetes".split(
    " ",
  ))
    expect(ids).toContain(id);
});

it("has words for every step, and uses all words", () => {
  const said = all.flatMap((p) => p.steps.map((s) => s.say));
  expect([...new Set(said)].sort()).toEqual(Object.keys(en.gateway.install).sort());
});

it("puts nothing into commands that means something to a shell", () => {
  expect(fileOf("office-2.0", "crt")).toBe("vitrine-office-2.0.crt");
  expect(fileOf("x; rm -rf $(HOME) `ls`", "crt")).toBe("vitrine-x-rm--rf-HOME-ls-.crt");
});
