/** The time zone in which times are shown. */
export type Zone = "local" | "utc";

const formats = new Map<string, Intl.DateTimeFormat>();

function format(locale: string, zone: Zone, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${locale} ${zone} ${JSON.stringify(options)}`;
  const known = formats.get(key);
  if (known) return known;
  const made = new Intl.DateTimeFormat(locale, {
    ...options,
    hourCycle: "h23",
    ...(zone === "utc" && { timeZone: "UTC" }),
  });
  formats.set(key, made);
  return made;
}

function part(parts: Intl.DateTimeFormatPart[], type: Intl.DateTimeFormatPartTypes): string {
  return parts.find((p) => p.type === type)?.value ?? "";
}

/** 2026-11-20 21:45:03.123: the same in every language, sortable and of one width, as logs are read. */
export function exact(time: string | Date, zone: Zone): string {
  const parts = format("en-CA", zone, {
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    fractionalSecondDigits: 3,
  }).formatToParts(new Date(time));
  const p = (type: Intl.DateTimeFormatPartTypes) => part(parts, type);
  return `${p("year")}-${p("month")}-${p("day")} ${p("hour")}:${p("minute")}:${p("second")}.${p("fractionalSecond")}`;
}

/** Nov 20, 2026, 21:45 by the reader's language. */
export function moment(time: string | Date, locale: string, zone: Zone): string {
  return format(locale, zone, { dateStyle: "medium", timeStyle: "short" }).format(new Date(time));
}

/** Label for a point on a time axis whose labels are step seconds apart. */
export function tick(time: Date, step: number, locale: string, zone: Zone): string {
  if (step >= 86_400)
    return format(locale, zone, {
      month: "short",
      day: "numeric",
      ...(step > 86_400 * 60 && { year: "numeric" }),
    }).format(time);
  if (step >= 60) {
    const midnight =
      part(format("en", zone, { hour: "2-digit", minute: "2-digit" }).formatToParts(time), "hour") === "00";
    const day =
      midnight &&
      part(format("en", zone, { minute: "2-digit", hour: "2-digit" }).formatToParts(time), "minute") === "00";
    return format(
      locale,
      zone,
      day ? { month: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit" },
    ).format(time);
  }
  return format(locale, zone, { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(time);
}
