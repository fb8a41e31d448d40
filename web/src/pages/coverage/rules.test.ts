import { expect, it } from "vitest";
import type { FilterRule } from "../../api/types";
import { conditions, draftOf, mistakeIn, ruleOf, rulesOf } from "./rules";

const full: FilterRule = {
  pid: 12,
  exe: "/usr/bin/*",
  name: "curl",
  command_line: "curl *",
  user: "www-data",
  image: "shop:*",
  namespace: "kube-*",
  ports: ["443", "8000-8999"],
  direction: "outgoing",
};

it("goes through the form unchanged", () => {
  expect(ruleOf(draftOf(full))).toEqual(full);
  expect(ruleOf(draftOf({}))).toEqual({});
});

it("leaves out spaces, and takes ports as people write them", () => {
  const draft = { ...draftOf(), exe: "  /bin/sh ", name: "  ", ports: " 443 ;8000 - 8999,  25" };
  expect(ruleOf(draft)).toEqual({ exe: "/bin/sh", ports: ["443", "8000-8999", "25"] });
});

it("sends what is no process id as it is", () => {
  expect(ruleOf({ ...draftOf(), pid: "curl" })).toEqual({ pid: "curl" });
  expect(ruleOf({ ...draftOf(), pid: "-4" })).toEqual({ pid: -4 });
});

it("has no rules for everything", () => {
  expect(rulesOf("everything", [draftOf(full)])).toEqual({ mode: "everything", rules: [] });
  expect(rulesOf("only", [draftOf(full)])).toEqual({ mode: "only", rules: [full] });
});

it("finds the mistakes of a field", () => {
  const mistakes = new Map([
    ["body.rules[1].ports[2]", "no port"],
    ["body.rules[0].name", "too long"],
    ["body.rules[10]", "says nothing"],
  ]);
  expect(mistakeIn(mistakes, 1, "ports")).toBe("no port");
  expect(mistakeIn(mistakes, 0, "name")).toBe("too long");
  expect(mistakeIn(mistakes, 1, "name")).toBeUndefined();
  expect(mistakeIn(mistakes, 10, "rule")).toBe("says nothing");
  expect(mistakeIn(mistakes, 1, "rule")).toBeUndefined();
});

it("says what a rule says", () => {
  expect(conditions({ exe: "/usr/bin/*", ports: ["443", "8443"], direction: "incoming" })).toEqual([
    { field: "exe", text: "/usr/bin/*" },
    { field: "ports", text: "443, 8443" },
    { field: "direction", text: "incoming" },
  ]);
});
