const numbers = new Map<string, Intl.NumberFormat>();

function formatter(locale: string, options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = locale + JSON.stringify(options);
  const known = numbers.get(key);
  if (known) return known;
  const made = new Intl.NumberFormat(locale, options);
  numbers.set(key, made);
  return made;
}

/** 1234567 as 1,234,567. */
export function count(n: number, locale: string): string {
  return formatter(locale, { maximumFractionDigits: 0 }).format(n);
}

/** 1234567 as 1.2M, for places with little room. */
export function compact(n: number, locale: string): string {
  return formatter(locale, { notation: "compact", maximumFractionDigits: 1 }).format(n);
}

/** The share part/whole as 87.2%, or undefined where there is no whole. All and none are said only when true. */
export function percent(part: number, whole: number, locale: string): string | undefined {
  if (whole === 0) return undefined;
  const share = part / whole;
  const shown = share > 0.999 && share < 1 ? 0.999 : share < 0.001 && share > 0 ? 0.001 : share;
  return formatter(locale, { style: "percent", maximumFractionDigits: 1 }).format(shown);
}

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** 1536 as 1.5 KiB. */
export function bytes(n: number, locale: string): string {
  let unit = 0;
  let value = n;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit > 0 && value < 100 ? 1 : 0;
  return `${formatter(locale, { maximumFractionDigits: digits }).format(value)} ${units[unit] ?? ""}`;
}

/** Microseconds as 12 µs, 3.4 ms, 5.6 s or 2 min. */
export function duration(us: number, locale: string): string {
  const show = (n: number, unit: string) =>
    `${formatter(locale, { maximumFractionDigits: n < 10 ? 1 : 0 }).format(n)} ${unit}`;
  if (us < 1_000) return show(us, "µs");
  if (us < 1_000_000) return show(us / 1_000, "ms");
  if (us < 120_000_000) return show(us / 1_000_000, "s");
  return show(us / 60_000_000, "min");
}
