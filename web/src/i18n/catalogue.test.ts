import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import en from "./en.json";
import zh from "./zh.json";

type Catalogue = { [key: string]: string | Catalogue };

function flat(catalogue: Catalogue, prefix = ""): Map<string, string> {
  return new Map(
    Object.entries(catalogue).flatMap(([key, value]) =>
      typeof value === "string" ? [[prefix + key, value] as const] : [...flat(value, `${prefix}${key}.`)],
    ),
  );
}

const english = flat(en);
const chinese = flat(zh);
const source = join(import.meta.dirname, "..");
const code = readdirSync(source, { recursive: true, encoding: "utf8" })
  .filter((name) => /\.tsx?$/.test(name) && !/\.test\.|schema\.d\.ts$/.test(name))
  .map((name) => readFileSync(join(source, name), "utf8"))
  .join("\n");

/** Keys as they stand in the code: whole ones, and patterns of those that are put together. */
const whole = new Set([...code.matchAll(/\b(?:t|exists)\("([^"]+)"/g)].map((m) => m[1] ?? ""));
const patterns = [...code.matchAll(/\b(?:t|exists)\(`([^`]+)`/g)].map(
  (m) =>
    new RegExp(
      "^" +
        (m[1] ?? "")
          .split(/\$\{(?:[^{}]|\{[^}]*\})*\}/)
          .map((s) => s.replaceAll(".", "\\."))
          .join("[^.]+") +
        "$",
    ),
);

it("has the same keys in both languages", () => {
  expect([...chinese.keys()].sort()).toEqual([...english.keys()].sort());
});

it("has every key that the code asks for", () => {
  expect([...whole].filter((key) => !english.has(key))).toEqual([]);
  expect(patterns.filter((p) => ![...english.keys()].some((key) => p.test(key))).map(String)).toEqual([]);
});

it("has no key that the code does not ask for", () => {
  const unused = [...english.keys()].filter((key) => !whole.has(key) && !patterns.some((p) => p.test(key)));
  expect(unused).toEqual([]);
});

it("says the same with the same values", () => {
  const values = (text: string | undefined) => [...(text ?? "").matchAll(/\{\{\w+\}\}/g)].map(String).sort();
  for (const [key, text] of english) expect(values(chinese.get(key)), key).toEqual(values(text));
});

it("is translated", () => {
  const same = [...english]
    .filter(([key, text]) => chinese.get(key) === text && /[a-z]{3}/.test(text))
    .map(([key]) => key);
  // Names and abbreviations are the same in both.
  expect(same.filter((key) => !/^(kind\.(websocket|smtp)|fact\.(community_id|pod))$/.test(key))).toEqual([]);
});
