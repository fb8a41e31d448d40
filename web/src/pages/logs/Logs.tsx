import { lazy, Suspense, useCallback } from "react";
import { useTranslation } from "react-i18next";
import { APIError } from "../../api/client";
import { useEvents, useHistogram } from "../../api/queries";
import { ErrorBox } from "../../components/ErrorBox";
import { useRange } from "../../components/range";
import { useTitle } from "../../components/title";
import { ColumnPicker } from "./ColumnPicker";
import { LiveTable } from "./LiveTable";
import { LiveToggle } from "./LiveToggle";
import { QuickFilters } from "./QuickFilters";
import { ResultTable } from "./ResultTable";
import { SearchBox } from "./SearchBox";
import { useLogsState } from "./state";
import { ValueMenu } from "./ValueMenu";

const HistogramChart = lazy(() => import("./HistogramChart"));
const EventDrawer = lazy(() => import("./drawer/EventDrawer"));

/** Searching what was seen. */
export default function Logs() {
  const { t } = useTranslation();
  useTitle(t("nav.logs"));
  const [state, change] = useLogsState();
  const [range, setRange] = useRange();
  const events = useEvents(state.q, range, !state.live);
  const histogram = useHistogram(state.q, range);
  const { refetch } = events;
  const run = (q: string) => {
    if (q !== state.q) change({ q, id: "" });
    else void refetch();
  };
  const select = useCallback((id: string) => change({ id }), [change]);
  const error = state.live ? histogram.error : (events.error ?? histogram.error);
  const mistake = error instanceof APIError ? error.mistake : undefined;
  return (
    <ValueMenu q={state.q} run={run}>
      <div className="logs">
        <h1 className="visually-hidden">{t("nav.logs")}</h1>
        <SearchBox q={state.q} mistake={mistake} run={run} />
        <div className="logs-tools">
          <QuickFilters q={state.q} run={run} />
          <div className="logs-tools-right">
            <LiveToggle on={state.live} change={(live) => change({ live })} />
            <ColumnPicker columns={state.columns} change={(columns) => change({ columns })} />
          </div>
        </div>
        {error && !mistake && <ErrorBox error={error} retry={events.refetch} />}
        {histogram.data && !mistake && (
          <Suspense fallback={<div className="histogram" />}>
            <HistogramChart histogram={histogram.data} zoom={setRange} />
          </Suspense>
        )}
        {state.live ? (
          <LiveTable q={state.q} columns={state.columns} selected={state.id} select={select} />
        ) : (
          <ResultTable events={events} columns={state.columns} selected={state.id} select={select} />
        )}
      </div>
      {state.id && (
        <Suspense>
          <EventDrawer id={state.id} close={() => change({ id: "" })} run={run} />
        </Suspense>
      )}
    </ValueMenu>
  );
}
