import { PlusOutlined } from "@ant-design/icons";
import { Alert, Button } from "antd";
import { useTranslation } from "react-i18next";
import { useFormat } from "../../../components/format";
import { CasesForm } from "./CasesForm";
import type { StepProps } from "./CertificateStep";
import { maxScopes, newScope, scopeOf, unitsOf, type ScopeDraft } from "./draft";
import { ScopeForm } from "./ScopeForm";

interface Props extends StepProps {
  others: number;
  max: number;
}

/** Which connections are looked into, and what becomes of those that can't be. */
export function ScopesStep({ draft, change, problems, others, max }: Props) {
  const { t } = useTranslation();
  const { scopes } = draft;
  const put = (next: ScopeDraft) =>
    change((d) => ({ ...d, scopes: d.scopes.map((s) => (s.key === next.key ? next : s)) }));
  return (
    <>
      <p className="muted">{t("gateway.scopes_note")}</p>
      {scopes.map((scope, i) => (
        <ScopeForm
          key={scope.key}
          number={i + 1}
          scope={scope}
          problems={problems}
          change={put}
          remove={
            scopes.length > 1
              ? () => change((d) => ({ ...d, scopes: d.scopes.filter((s) => s.key !== scope.key) }))
              : undefined
          }
        />
      ))}
      <Button
        className="wizard-add"
        icon={<PlusOutlined aria-hidden />}
        disabled={scopes.length >= maxScopes}
        onClick={() => change((d) => ({ ...d, scopes: [...d.scopes, newScope(d.scopes.length + 1)] }))}
      >
        {t("gateway.add_scope", { n: scopes.length, max: maxScopes })}
      </Button>
      <QuotaSum scopes={scopes} others={others} max={max} />
      <CasesForm draft={draft} change={change} problems={problems} />
    </>
  );
}

/** What this policy takes of the quota, what the others take, and what is left. */
export function QuotaSum({ scopes, others, max }: { scopes: ScopeDraft[]; others: number; max: number }) {
  const { t } = useTranslation();
  const { count } = useFormat();
  const here = scopes.reduce((n, s) => n + unitsOf(scopeOf(s)).product, 0);
  const left = max - others - here;
  const numbers = { here: count(here), others: count(others), max: count(max) };
  if (left < 0) {
    return (
      <Alert
        type="error"
        showIcon
        role="alert"
        title={t("gateway.over_quota", { ...numbers, free: count(Math.max(0, max - others)), over: count(-left) })}
      />
    );
  }
  return (
    <p className="quota-sum" role="status">
      {t("gateway.quota_sum", { ...numbers, left: count(left) })}
      <span className="meter" aria-hidden>
        <span style={{ width: `${(100 * (max - left)) / max}%` }} />
      </span>
    </p>
  );
}
