import { parse, plain } from "./markdown";

/** The files of docs/, as they were when the console was built. */
const files = import.meta.glob<string>("../../../../docs/*.md", { query: "?raw", import: "default", eager: true });

export interface Doc {
  /** Its file's name without .md. */
  page: string;
  title: string;
  text: string;
}

function titleOf(text: string): string {
  const heading = parse(text).find((t) => t.type === "heading");
  return heading && "tokens" in heading ? plain(heading.tokens) : "";
}

/** What people look for most comes first. */
const first = ["coverage", "reason-codes", "search-language", "probe-budget"];
const rank = (page: string) => (first.includes(page) ? first.indexOf(page) : first.length);

/** All pages of the documentation. */
export const docs: Doc[] = Object.entries(files)
  .map(([path, text]) => ({ page: /([^/]+)\.md$/.exec(path)?.[1] ?? "", title: titleOf(text), text }))
  .sort((a, b) => rank(a.page) - rank(b.page) || a.title.localeCompare(b.title, "en"));

export const pages: ReadonlySet<string> = new Set(docs.map((d) => d.page));
