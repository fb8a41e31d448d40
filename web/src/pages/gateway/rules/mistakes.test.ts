import { describe, expect, it } from "vitest";
import { mistakesIn } from "./mistakes";

const text =
  'rules:\n- id: a # first\n  action: blok\n- id: "c c"\n- {id: d, action: block}\n- action: block\n  id: a\n';

describe("a mistake", () => {
  it.each([
    ["yaml: line 2: did not find expected ','", 2, "did not find expected ','"],
    ['rule a: action is "blok"', 7, 'rule a: action is "blok"'],
    ['rule "c c": the id', 4, 'rule "c c": the id'],
    ["rule d: it says nothing", 5, "rule d: it says nothing"],
    ['rule "": the id', undefined, 'rule "": the id'],
    ["rule e: gone", undefined, "rule e: gone"],
    ["there are more than 5000 rules", undefined, "there are more than 5000 rules"],
  ])("is told with its line: %s", (told, line, message) => expect(mistakesIn(text, told)).toEqual([{ line, message }]));

  it("stands beside others, without their heading", () => {
    expect(mistakesIn(text, "yaml: unmarshal errors:\nline 3: field x not found\nline 5: field y not found")).toEqual([
      { line: 3, message: "field x not found" },
      { line: 5, message: "field y not found" },
    ]);
  });
});
