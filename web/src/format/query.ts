/** Writes pieces of the search language. */

const bare = /^[\p{L}\p{N}_./@-]+$/u;
const keywords = new Set(["and", "or", "not", "to"]);
const escapes = new Map([
  ["\\", "\\\\"],
  ['"', '\\"'],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
]);

/** A value as the language reads it back: quoted unless it is a plain word. */
export function quote(value: string): string {
  if (bare.test(value) && !keywords.has(value.toLowerCase())) return value;
  return `"${value.replace(/[\\"\n\r\t]/g, (c) => escapes.get(c) ?? c)}"`;
}

export function term(field: string, value: string | number | boolean, negated = false): string {
  return `${negated ? "not " : ""}${field}:${quote(String(value))}`;
}

/** Narrows a search by a further term. */
export function narrow(query: string, addition: string): string {
  const trimmed = query.trim();
  if (trimmed === "") return addition;
  if (hasTerm(trimmed, addition)) return trimmed;
  return `${/\bor\b/i.test(trimmed) ? `(${trimmed})` : trimmed} and ${addition}`;
}

/** Says whether a term is one of those that a search joins by and. */
export function hasTerm(query: string, wanted: string): boolean {
  return split(query).includes(wanted);
}

/** Takes a term out of those that a search joins by and. */
export function without(query: string, unwanted: string): string {
  return split(query)
    .filter((t) => t !== unwanted)
    .join(" and ");
}

/** The terms between the outermost "and"s: not those in parentheses or quotes. */
function split(query: string): string[] {
  const out: string[] = [];
  let depth = 0;
  let current = "";
  for (const [token] of query.matchAll(/"(?:[^"\\]|\\.)*"|\s+and\s+|[()]|[^"()\s]+|\s+|"/giu)) {
    if (token === "(") depth++;
    if (token === ")") depth--;
    if (depth === 0 && /^\s+and\s+$/i.test(token)) {
      out.push(current.trim());
      current = "";
    } else current += token;
  }
  if (current.trim() !== "") out.push(current.trim());
  return out;
}
