import { Button, Spin } from "antd";
import { useTranslation } from "react-i18next";
import { useEvents } from "../../../api/queries";
import type { Record } from "../../../api/types";
import { ErrorBox } from "../../../components/ErrorBox";
import { useFormat } from "../../../components/format";
import { Clipped } from "../../../components/Text";
import { term } from "../../../format/query";
import { allTime } from "../../../format/range";
import { nameOf, summaryOf } from "../../../format/record";
import { useLogsState } from "../state";

const ever = { since: allTime, until: "" };

/** Finds the events of the same connection; of FTP, those of the control connection and of its transfers. */
function related(r: Record): string {
  const id = r.conn_id ?? "";
  const terms = [term("conn_id", id)];
  if (r.app_proto === "ftp") terms.push(term("ftp_data.control_id", id));
  if (r.ftp_data?.control_id) terms.push(term("conn_id", r.ftp_data.control_id));
  return terms.join(" or ");
}

/** The other events of the same connection. */
export function Related({ record, run }: { record: Record; run: (q: string) => void }) {
  const { t } = useTranslation();
  const { exact } = useFormat();
  const [, change] = useLogsState();
  const q = related(record);
  const events = useEvents(q, ever);
  if (events.error) return <ErrorBox error={events.error} retry={events.refetch} />;
  if (events.isPending) return <Spin />;
  const found = events.data.pages.flatMap((p) => p.events);
  return (
    <>
      <ul className="related">
        {found.map((r) => (
          <li key={r.id} className={r.id === record.id ? "related-this" : ""}>
            <button
              type="button"
              className="related-item"
              disabled={r.id === record.id}
              onClick={() => change({ id: r.id })}
            >
              <span className="mono">{exact(r.time)}</span>
              <span className={`kind kind-${r.kind}`}>{t(`kind.${r.kind}`)}</span>
              <Clipped text={[nameOf(r)?.value, summaryOf(r)].filter(Boolean).join("  ")} />
            </button>
          </li>
        ))}
      </ul>
      <Button size="small" onClick={() => run(q)}>
        {t("drawer.related_search")}
      </Button>
    </>
  );
}
