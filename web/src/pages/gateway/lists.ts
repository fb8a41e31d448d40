/** What stands in a text, separated by lines, spaces, commas or semicolons. */
export function listOf(text: string): string[] {
  return text.split(/[\s,;，；、]+/).filter(Boolean);
}

/** A list as people write it: one entry a line. */
export function textOf(list: readonly string[] | null | undefined): string {
  return (list ?? []).join("\n");
}

/** Ranges of ports; 443 is short for 443/443, and 8000-8999 for 8000/8999. */
export function rangesOf(text: string): string[] {
  return listOf(text).map((range) => range.replace(/^(\d+)$/, "$1/$1").replace(/^(\d+)[-–](\d+)$/, "$1/$2"));
}

interface Problem {
  field: string;
  message: string;
}

/** The first problem of a field: of the field itself, or of an entry of its list. */
export function problemOf(problems: readonly Problem[], field: string): string | undefined {
  return problems.find((p) => p.field === field || p.field.startsWith(`${field}[`))?.message;
}
