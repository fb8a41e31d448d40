import { Button, Input, Segmented } from "antd";
import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import type { ProcessCoverage } from "../../api/types";
import { useFormat } from "../../components/format";
import { columns, grouped, matching, next, sorted, withState, type Order, type Shown } from "./processes";
import { GroupRows } from "./GroupRows";

/** Programs that are shown without being asked for: a busy host has thousands of processes. */
const firstRows = 200;

/** The list of programs and their processes, to search and to sort. */
export function Processes({ processes }: { processes: ProcessCoverage[] }) {
  const { t } = useTranslation();
  const { count, percent } = useFormat();
  const [shown, setShown] = useState<Shown>("all");
  const [words, setWords] = useState("");
  const [order, setOrder] = useState<Order>({ column: "state", descending: false });
  const [all, setAll] = useState(false);
  const rows = useMemo(
    () => sorted(grouped(matching(withState(processes, shown), words)), order),
    [processes, shown, words, order],
  );
  const covered = withState(processes, "covered").length;
  const choices: { value: Shown; n: number }[] = [
    { value: "all", n: processes.length },
    { value: "covered", n: covered },
    { value: "partly_covered", n: withState(processes, "partly_covered").length },
    { value: "not_covered", n: withState(processes, "not_covered").length },
  ];
  return (
    <section className="card" aria-labelledby="processes-title">
      <div className="card-head">
        <h2 id="processes-title">{t("coverage.processes")}</h2>
        <Segmented
          aria-label={t("coverage.which")}
          value={shown}
          onChange={setShown}
          options={choices.map(({ value, n }) => ({
            value,
            label: t("label.with", { label: t(`coverage.show_${value}`), more: count(n) }),
          }))}
        />
        <Input
          allowClear
          aria-label={t("coverage.find")}
          placeholder={t("coverage.find")}
          value={words}
          onChange={(e) => setWords(e.target.value)}
        />
      </div>
      <p className="muted">
        {processes.length > 0 &&
          t("coverage.sum", {
            processes: count(new Set(processes.map((c) => c.process.pid)).size),
            covered: count(covered),
            all: count(processes.length),
            percent: percent(covered, processes.length) ?? "–",
          })}
      </p>
      {processes.length === 0 ? (
        <p className="process-none">{t("coverage.none")}</p>
      ) : (
        <div className="process-scroll" role="region" aria-labelledby="processes-title" tabIndex={0}>
          <table className="plain-table process-table">
            <thead>
              <tr>
                {columns.map((column) => (
                  <th
                    key={column}
                    scope="col"
                    className={`process-${column}`}
                    aria-sort={order.column === column ? (order.descending ? "descending" : "ascending") : undefined}
                  >
                    <button type="button" className="sort" onClick={() => setOrder(next(order, column))}>
                      {t(`coverage.column_${column}`)}
                      <span aria-hidden>{order.column === column ? (order.descending ? " ↓" : " ↑") : ""}</span>
                    </button>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.slice(0, all ? undefined : firstRows).map((group) => (
                <GroupRows key={group.key} group={group} />
              ))}
              {rows.length === 0 && (
                <tr>
                  <td colSpan={columns.length}>{t("coverage.no_match")}</td>
                </tr>
              )}
            </tbody>
          </table>
        </div>
      )}
      {!all && rows.length > firstRows && (
        <Button className="process-more" onClick={() => setAll(true)}>
          {t("coverage.show_rest", { n: count(rows.length - firstRows) })}
        </Button>
      )}
    </section>
  );
}
