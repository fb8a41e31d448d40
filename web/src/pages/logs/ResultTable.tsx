import { Button, Spin } from "antd";
import { useCallback, useMemo } from "react";
import { useTranslation } from "react-i18next";
import type { useEvents } from "../../api/queries";
import { useFormat } from "../../components/format";
import { useRange } from "../../components/range";
import { allTime } from "../../format/range";
import { Grid } from "./Grid";

interface Props {
  events: ReturnType<typeof useEvents>;
  columns: string[];
  selected: string;
  select: (id: string) => void;
}

/** What a search found, page after page. */
export function ResultTable({ events, columns, selected, select }: Props) {
  const { t } = useTranslation();
  const { count } = useFormat();
  const { data, hasNextPage, isFetchingNextPage, isFetching, fetchNextPage, error } = events;
  const records = useMemo(() => data?.pages.flatMap((p) => p.events) ?? [], [data]);
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage && !error) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, error, fetchNextPage]);
  if (events.isPending && !error) return <Spin className="page-spin" size="large" />;
  if (error && records.length === 0) return null;
  return (
    <>
      <p className="result-line muted" role="status">
        {isFetching && !isFetchingNextPage
          ? t("logs.searching")
          : t("logs.loaded", { shown: count(records.length), ms: count(data?.pages[0]?.took_ms ?? 0) })}
      </p>
      {records.length === 0 ? (
        <NothingFound />
      ) : (
        <Grid
          records={records}
          columns={columns}
          selected={selected}
          select={select}
          more={more}
          footer={
            <div role="row" className="grid-footer">
              <div role="gridcell">
                {hasNextPage ? (
                  <Button size="small" loading={isFetchingNextPage} onClick={more}>
                    {t("logs.more")}
                  </Button>
                ) : (
                  <span className="muted">{t("logs.end")}</span>
                )}
              </div>
            </div>
          }
        />
      )}
    </>
  );
}

function NothingFound() {
  const { t } = useTranslation();
  const [range, setRange] = useRange();
  return (
    <div className="empty-page">
      <h2>{t("logs.nothing")}</h2>
      <p className="muted">{t("logs.nothing_hint")}</p>
      {range.since !== allTime && (
        <Button onClick={() => setRange({ since: allTime, until: "" })}>{t("empty.range_all")}</Button>
      )}
    </div>
  );
}
