import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import * as number from "../format/number";
import * as time from "../format/time";
import { usePreference } from "./preferences";

/** Numbers and times in the reader's language and time zone. */
export function useFormat() {
  const { i18n } = useTranslation();
  const [zone] = usePreference("zone");
  const locale = i18n.language === "zh" ? "zh-CN" : "en";
  return useMemo(
    () => ({
      locale,
      zone,
      count: (n: number) => number.count(n, locale),
      compact: (n: number) => number.compact(n, locale),
      percent: (part: number, whole: number) => number.percent(part, whole, locale),
      bytes: (n: number) => number.bytes(n, locale),
      duration: (us: number) => number.duration(us, locale),
      exact: (at: string) => time.exact(at, zone),
      moment: (at: string | Date) => time.moment(at, locale, zone),
      tick: (at: Date, step: number) => time.tick(at, step, locale, zone),
    }),
    [locale, zone],
  );
}
