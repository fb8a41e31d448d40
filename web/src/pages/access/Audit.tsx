import { CheckCircleFilled, CloseCircleFilled } from "@ant-design/icons";
import { Input, Spin } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { auditLimit, useAudit } from "../../api/access";
import type { AuditEntry } from "../../api/types";
import { ErrorBox } from "../../components/ErrorBox";
import { useFormat } from "../../components/format";
import { Clipped, Text } from "../../components/Text";
import { contains } from "./rules";

/** Who did what, the newest first. */
export function Audit() {
  const { t } = useTranslation();
  const { count } = useFormat();
  const audit = useAudit();
  const [words, setWords] = useState("");
  const entries = audit.data?.entries ?? [];
  const shown = entries.filter((e) => contains([e.actor, e.address, e.action, e.target, e.outcome], words));
  return (
    <section className="card" aria-labelledby="audit-title">
      <div className="card-head">
        <h2 id="audit-title">{t("access.audit")}</h2>
        <Input
          allowClear
          aria-label={t("access.find_entry")}
          placeholder={t("access.find_entry")}
          value={words}
          onChange={(e) => setWords(e.target.value)}
        />
      </div>
      <p className="muted">{t("access.audit_note", { n: count(auditLimit) })}</p>
      {audit.error && <ErrorBox error={audit.error} retry={audit.refetch} />}
      {audit.isPending && <Spin />}
      <div className="access-scroll" tabIndex={0} role="region" aria-labelledby="audit-title">
        <table className="plain-table audit">
          <thead>
            <tr>
              {(["time", "actor", "address", "action", "target", "outcome"] as const).map((column) => (
                <th key={column} scope="col" className={`audit-${column}`}>
                  {t(`access.column_${column}`)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((e, i) => (
              <Entry key={`${e.time} ${i}`} entry={e} />
            ))}
            {audit.data && shown.length === 0 && (
              <tr>
                <td colSpan={6}>{t("access.no_entry")}</td>
              </tr>
            )}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Entry({ entry: e }: { entry: AuditEntry }) {
  const { t } = useTranslation();
  const { exact } = useFormat();
  return (
    <tr>
      <td className="time">{exact(e.time)}</td>
      <td className="break">
        <Text text={e.actor} />
      </td>
      <td className="break">
        <Text text={e.address} />
      </td>
      <td>
        <code>{e.action}</code>
      </td>
      <td>
        <Clipped text={e.target ?? ""} />
      </td>
      <td>
        <span className={e.outcome === "ok" ? "state state-good" : "state state-bad"}>
          {e.outcome === "ok" ? <CheckCircleFilled aria-hidden /> : <CloseCircleFilled aria-hidden />}{" "}
          {t(`access.outcome_${e.outcome}`)}
        </span>
      </td>
    </tr>
  );
}
