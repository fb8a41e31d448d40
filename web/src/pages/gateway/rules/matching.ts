import type { Application } from "../../../api/types";

/** The applications in which all words occur: in the name, the id, the kind or where it is. */
export function matching(applications: readonly Application[], words: string): Application[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  return applications.filter(({ id, name, kind, urls }) => {
    const all = [id, name, kind, ...urls].join("\n").toLowerCase();
    return wanted.every((word) => all.includes(word));
  });
}
