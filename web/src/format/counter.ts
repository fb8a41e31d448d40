import type { System } from "../api/types";

type Counter = System["counters"][number];

const lossWords =
  /(dropped|lost|loss|gap|missing|missed|discarded|rejected|refused|failed|failures|errors|evicted|overflow|truncated)(_|$)/;

/** Says whether a counter counts something that was lost. */
export function isLoss(counter: Counter): boolean {
  return lossWords.test(counter.name);
}

/** {reason="full"} as Prometheus writes labels; empty without any. */
export function labelsOf(counter: Counter): string {
  const labels = Object.entries(counter.labels ?? {});
  return labels.length === 0 ? "" : `{${labels.map(([k, v]) => `${k}="${v}"`).join(", ")}}`;
}

/** Those whose name or labels hold all words. */
export function matching(counters: Counter[], words: string): Counter[] {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  return counters.filter((c) => {
    const text = (c.name + labelsOf(c)).toLowerCase();
    return wanted.every((w) => text.includes(w));
  });
}
