import { lexer, type Token, type Tokens } from "marked";

/** The pieces of a Markdown text. Nothing of it becomes HTML: Markdown.tsx shows each kind of piece by an element of its own. */
export function parse(text: string): Token[] {
  return lexer(text);
}

/** The name by which a heading is linked to, as GitHub makes it. */
export function slug(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .replace(/\s/g, "-");
}

/** The text of pieces without what they look like. */
export function plain(tokens: Token[] | undefined): string {
  return (tokens ?? [])
    .map((t) => ("tokens" in t && t.tokens ? plain(t.tokens) : "text" in t ? String(t.text) : ""))
    .join("");
}

/** A row of a table that explains a code can be linked to by the code, which stands alone in its first cell. */
export function codeOf(row: Tokens.TableCell[]): string | undefined {
  const [only, ...others] = row[0]?.tokens ?? [];
  return only?.type === "codespan" && others.length === 0 ? (only as Tokens.Codespan).text : undefined;
}

/** Where a link leads: to a page of this documentation, out of the console, or nowhere that there is. */
export type Target = { page: string; hash: string } | { outside: string } | undefined;

export function targetOf(href: string, here: string, pages: ReadonlySet<string>): Target {
  if (/^https?:\/\//i.test(href)) return { outside: href };
  const [, page = "", hash = ""] = /^(?:([a-z0-9-]+)\.md)?(#[^#]*)?$/.exec(href) ?? [];
  const to = page === "" ? here : page;
  return href !== "" && (page !== "" || hash !== "") && pages.has(to) ? { page: to, hash } : undefined;
}

/** Every name in a text that can be linked to. */
export function anchorsOf(text: string): string[] {
  return parse(text).flatMap((token) => {
    if (token.type === "heading") return [slug(plain(token.tokens))];
    if (token.type !== "table") return [];
    return (token as Tokens.Table).rows.map(codeOf).filter((code) => code !== undefined);
  });
}

/** Every address that a text links to. */
export function linksOf(text: string): string[] {
  const found: string[] = [];
  const walk = (tokens: Token[]) => {
    for (const token of tokens) {
      if (token.type === "link") found.push((token as Tokens.Link).href);
      if (token.type === "table") {
        const { header, rows } = token as Tokens.Table;
        for (const cell of [header, ...rows].flat()) walk(cell.tokens);
      }
      if (token.type === "list") for (const item of (token as Tokens.List).items) walk(item.tokens);
      if ("tokens" in token && token.tokens) walk(token.tokens);
    }
  };
  walk(parse(text));
  return found;
}
