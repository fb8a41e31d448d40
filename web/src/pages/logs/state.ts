import { useCallback, useMemo } from "react";
import { useSearchParams } from "react-router";
import { preference, usePreference } from "../../components/preferences";

export interface LogsState {
  q: string;
  columns: string[];
  live: boolean;
  /** Id of the event in the drawer, empty if it is closed. */
  id: string;
}

/** What the Logs page shows, kept in the address: a copied address shows the same. */
export function useLogsState(): [LogsState, (change: Partial<LogsState>) => void] {
  const [params, setParams] = useSearchParams();
  const [remembered, remember] = usePreference("columns");
  const q = params.get("q") ?? "";
  const live = params.get("live") === "1";
  const id = params.get("id") ?? "";
  const chosen = params.get("columns");
  const columns = useMemo(() => (chosen ? chosen.split(",").filter(Boolean) : remembered), [chosen, remembered]);
  const state = useMemo(() => ({ q, live, id, columns }), [q, live, id, columns]);

  const change = useCallback(
    (next: Partial<LogsState>) => {
      if (next.columns) remember(next.columns);
      setParams(
        (now) => {
          const out = new URLSearchParams(now);
          const put = (key: string, value: string | undefined) => {
            if (value === undefined) return;
            if (value === "") out.delete(key);
            else out.set(key, value);
          };
          put("q", next.q);
          put("live", next.live === undefined ? undefined : next.live ? "1" : "");
          put("id", next.id);
          put("columns", next.columns?.join(","));
          return out;
        },
        // Going through events in the drawer is no way that one wants to go back.
        { replace: next.q === undefined },
      );
    },
    [setParams, remember],
  );
  return [state, change];
}

const historyLength = 30;

/** Puts a search at the head of those that were typed. */
export function withSearch(history: string[], q: string): string[] {
  return q.trim() === "" ? history : [q, ...history.filter((h) => h !== q)].slice(0, historyLength);
}

export function currentHistory(): string[] {
  return preference("history");
}
