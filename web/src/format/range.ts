/**
 * The time range that all pages share. since and until are what the API takes: RFC 3339, or a length of time before now
 * (15m, 24h, 7d). An empty until means now.
 */
export interface Range {
  since: string;
  until: string;
}

export const defaultRange: Range = { since: "24h", until: "" };

/** The start of all time: captures may be older than any preset. */
export const allTime = "1970-01-01T00:00:00Z";

export const presets = ["15m", "1h", "6h", "24h", "7d", "30d", allTime];

const seconds: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Milliseconds since 1970 of one end of a range, undefined if it is neither form. */
export function resolve(point: string, now: number): number | undefined {
  if (point === "") return now;
  const relative = /^(\d{1,6})([smhdw])$/.exec(point);
  if (relative) return now - Number(relative[1]) * (seconds[relative[2] ?? ""] ?? 0) * 1000;
  const absolute = Date.parse(point);
  return Number.isNaN(absolute) ? undefined : absolute;
}

/** The range that the address holds; what can't be read counts as missing. */
export function rangeOf(params: URLSearchParams): Range {
  const since = params.get("since") ?? "";
  const until = params.get("until") ?? "";
  const valid = (point: string) => point !== "" && resolve(point, 0) !== undefined;
  return { since: valid(since) ? since : defaultRange.since, until: valid(until) ? until : "" };
}

/** Writes a range into an address, leaving out what is the default. */
export function putRange(params: URLSearchParams, range: Range): void {
  const put = (key: keyof Range) =>
    range[key] === defaultRange[key] ? params.delete(key) : params.set(key, range[key]);
  put("since");
  put("until");
}

/** An absolute range from two times in seconds, as charts count them. */
export function between(from: number, to: number): Range {
  return { since: new Date(from * 1000).toISOString(), until: new Date(to * 1000).toISOString() };
}
