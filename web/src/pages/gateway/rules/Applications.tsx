import { Input, Spin } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useApplications } from "../../../api/gateway";
import { ErrorBox } from "../../../components/ErrorBox";
import { Text } from "../../../components/Text";
import { matching } from "./matching";

const columns = ["application", "id", "hosts"] as const;

/** What rules can name instead of addresses. */
export function Applications() {
  const { t } = useTranslation();
  const applications = useApplications();
  const [words, setWords] = useState("");
  const shown = matching(applications.data?.applications ?? [], words);
  return (
    <section className="card" aria-labelledby="applications-title">
      <div className="card-head">
        <h2 id="applications-title">{t("gateway.applications")}</h2>
        <Input
          allowClear
          aria-label={t("gateway.applications_find")}
          placeholder={t("gateway.applications_find")}
          value={words}
          onChange={(e) => setWords(e.target.value)}
        />
      </div>
      <p className="muted">{t("gateway.applications_note")}</p>
      {applications.error && <ErrorBox error={applications.error} retry={applications.refetch} />}
      {applications.isPending && <Spin />}
      {applications.data && shown.length === 0 && <p role="status">{t("gateway.applications_none")}</p>}
      {shown.length > 0 && (
        <div className="access-scroll" tabIndex={0} role="region" aria-labelledby="applications-title">
          <table className="plain-table applications">
            <thead>
              <tr>
                {columns.map((column) => (
                  <th key={column} scope="col" className={`applications-${column}`}>
                    {t(`gateway.column_${column}`)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {shown.map((a) => (
                <tr key={a.id}>
                  <td className="break">
                    <Text text={a.name} />
                  </td>
                  <td>
                    <code>
                      <Text text={a.id} />
                    </code>
                  </td>
                  <td className="break">
                    <Text text={a.urls.join(", ")} />
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
