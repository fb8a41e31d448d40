import { PlusOutlined } from "@ant-design/icons";
import { Button, Spin } from "antd";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { useGateway, usePolicies } from "../../../api/gateway";
import type { StoredPolicy } from "../../../api/types";
import { ErrorBox } from "../../../components/ErrorBox";
import { useFormat } from "../../../components/format";
import { useMay } from "../../../components/permissions";
import { Reminders } from "../certificates/Reminders";
import { Status } from "../Status";
import { EmptyPolicies } from "./EmptyPolicies";
import { PolicyRow } from "./PolicyRow";

const columns = ["order", "name", "scopes", "quota", "authority", "status", "actions"] as const;

/** All policies, in the order in which connections are compared with them. */
export function Policies() {
  const { t } = useTranslation();
  const policies = usePolicies();
  const gateway = useGateway();
  const list = policies.data?.policies ?? [];
  if (policies.error) return <ErrorBox error={policies.error} retry={policies.refetch} />;
  if (!policies.data) return <Spin className="page-spin" size="large" />;
  return (
    <>
      <Reminders />
      {list.length === 0 ? <EmptyPolicies /> : <PolicyTable policies={list} quota={policies.data.quota} />}
      {gateway.data?.running && (
        <section className="card" aria-labelledby="status-title">
          <h2 id="status-title">{t("gateway.status_title")}</h2>
          <Status gateway={gateway.data} />
        </section>
      )}
    </>
  );
}

function PolicyTable({ policies, quota }: { policies: StoredPolicy[]; quota: { used: number; max: number } }) {
  const { t } = useTranslation();
  const { count } = useFormat();
  const navigate = useNavigate();
  const may = useMay();
  return (
    <section className="card" aria-labelledby="policies-title">
      <div className="card-head">
        <h2 id="policies-title">{t("gateway.part_policies")}</h2>
        <span className="muted">{t("gateway.quota_used", { used: count(quota.used), max: count(quota.max) })}</span>
        {may("administer") && (
          <div className="card-buttons">
            <Button
              type="primary"
              icon={<PlusOutlined aria-hidden />}
              onClick={() => void navigate("/gateway/new-policy")}
            >
              {t("gateway.new_policy")}
            </Button>
          </div>
        )}
      </div>
      <p className="muted">{t("gateway.policies_note")}</p>
      <div className="access-scroll" tabIndex={0} role="region" aria-labelledby="policies-title">
        <table className="plain-table policies">
          <thead>
            <tr>
              {columns.map((column) => (
                <th key={column} scope="col" className={`policies-${column}`}>
                  {t(`gateway.column_${column}`)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {policies.map((policy, at) => (
              <PolicyRow key={policy.id} policy={policy} at={at} ids={policies.map((p) => p.id)} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
