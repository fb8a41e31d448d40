import { useCallback, useMemo } from "react";
import { useSearchParams } from "react-router";
import { putRange, rangeOf, type Range } from "../format/range";

/** The time range in the address, which all pages share. */
export function useRange(): [Range, (range: Range) => void] {
  const [params, setParams] = useSearchParams();
  const since = params.get("since");
  const until = params.get("until");
  const range = useMemo(() => rangeOf(new URLSearchParams({ since: since ?? "", until: until ?? "" })), [since, until]);
  const set = useCallback(
    (next: Range) =>
      setParams((now) => {
        const changed = new URLSearchParams(now);
        putRange(changed, next);
        return changed;
      }),
    [setParams],
  );
  return [range, set];
}

/** Address of the Logs page with a search in a range. */
export function logsAddress(q: string, range: Range): string {
  const params = new URLSearchParams();
  if (q !== "") params.set("q", q);
  putRange(params, range);
  const text = params.toString();
  return text === "" ? "/logs" : `/logs?${text}`;
}
