import type { FilterRule, FilterRules } from "../../api/types";

export type Mode = FilterRules["mode"];

/** What a rule can say in a text, in the order of the form. */
export const texts = ["exe", "name", "command_line", "user", "image", "namespace"] as const;

/** A rule as it stands in the form: text in every field. */
export interface Draft {
  /** Tells rules apart while they are written; the server does not see it. */
  key: number;
  pid: string;
  ports: string;
  direction: "" | "incoming" | "outgoing";
  exe: string;
  name: string;
  command_line: string;
  user: string;
  image: string;
  namespace: string;
}

let keys = 0;

export function draftOf(rule: FilterRule = {}): Draft {
  const { pid, ports, direction, exe, name, command_line, user, image, namespace } = rule;
  return {
    key: keys++,
    pid: pid?.toString() ?? "",
    ports: ports?.join(", ") ?? "",
    direction: direction ?? "",
    exe: exe ?? "",
    name: name ?? "",
    command_line: command_line ?? "",
    user: user ?? "",
    image: image ?? "",
    namespace: namespace ?? "",
  };
}

/** The rule of a draft. What is empty is left out. A process id that is no number is sent as it is: the server says what is wrong. */
export function ruleOf(draft: Draft): FilterRule {
  const rule: FilterRule = {};
  const pid = draft.pid.trim();
  if (pid !== "") rule.pid = /^-?\d+$/.test(pid) ? Number(pid) : (pid as unknown as number);
  for (const field of texts) {
    const text = draft[field].trim();
    if (text !== "") rule[field] = text;
  }
  const ports = portsOf(draft.ports);
  if (ports.length > 0) rule.ports = ports;
  if (draft.direction !== "") rule.direction = draft.direction;
  return rule;
}

/** Ports and ranges, separated by commas or spaces; a range may have spaces around its hyphen. */
function portsOf(text: string): string[] {
  return text
    .replace(/\s*[-–]\s*/g, "-")
    .split(/[\s,;]+/)
    .filter(Boolean);
}

export function rulesOf(mode: Mode, drafts: Draft[]): FilterRules {
  return { mode, rules: mode === "everything" ? [] : drafts.map(ruleOf) };
}

export type Place = Exclude<keyof Draft, "key"> | "rule";

/** The mistake in one field of a rule, out of those that the server found; a list's mistakes are those of its field. */
export function mistakeIn(mistakes: ReadonlyMap<string, string>, index: number, place: Place): string | undefined {
  const at = `body.rules[${index}]`;
  if (place === "rule") return mistakes.get(at);
  for (const [location, message] of mistakes) {
    const rest = location.startsWith(`${at}.${place}`) ? location.slice(at.length + 1 + place.length) : undefined;
    if (rest === "" || rest?.startsWith("[")) return message;
  }
  return undefined;
}

/** What a rule says, as names of fields and texts. */
export function conditions(rule: FilterRule): { field: Place; text: string }[] {
  const draft = draftOf(rule);
  const all = (["pid", ...texts, "ports", "direction"] as const).map((field) => ({ field, text: draft[field] }));
  return all.filter(({ text }) => text !== "");
}
