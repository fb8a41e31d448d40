import { Spin } from "antd";
import { useTranslation } from "react-i18next";
import { useChanges } from "../../api/gateway";
import { ErrorBox } from "../../components/ErrorBox";
import { useFormat } from "../../components/format";
import { Text } from "../../components/Text";

const columns = ["time", "user", "action", "object", "summary"] as const;

/** Who changed what, the newest first. */
export function Changes() {
  const { t } = useTranslation();
  const { exact } = useFormat();
  const changes = useChanges();
  const list = changes.data?.changes ?? [];
  return (
    <section className="card" aria-labelledby="changes-title">
      <h2 id="changes-title">{t("gateway.part_changes")}</h2>
      <p className="muted">{t("gateway.changes_note")}</p>
      {changes.error && <ErrorBox error={changes.error} retry={changes.refetch} />}
      {changes.isPending && <Spin />}
      {changes.data && list.length === 0 && <p>{t("gateway.changes_none")}</p>}
      {list.length > 0 && (
        <div className="access-scroll" tabIndex={0} role="region" aria-labelledby="changes-title">
          <table className="plain-table changes">
            <thead>
              <tr>
                {columns.map((column) => (
                  <th key={column} scope="col" className={`changes-${column}`}>
                    {t(`gateway.column_${column}`)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {list.map((c, i) => (
                <tr key={`${c.time} ${i}`}>
                  <td className="time">{exact(c.time)}</td>
                  <td className="break">
                    <Text text={c.user} />
                  </td>
                  <td>
                    <code>{c.action}</code>
                  </td>
                  <td className="break">
                    <Text text={c.object} />
                  </td>
                  <td className="break">
                    <Text text={c.outcome === "ok" ? c.summary : `${t(`access.outcome_${c.outcome}`)}: ${c.summary}`} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
