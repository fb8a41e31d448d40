import { Tabs } from "antd";
import { useTranslation } from "react-i18next";
import { useSearchParams } from "react-router";
import { useMay } from "../../components/permissions";
import { useTitle } from "../../components/title";
import { Accounts } from "./Accounts";
import { Audit } from "./Audit";
import { Tokens } from "./Tokens";

/** Who gets in, by account or by token, and what they did. */
export default function Access() {
  const { t } = useTranslation();
  useTitle(t("access.title"));
  const may = useMay();
  const [params, setParams] = useSearchParams();
  const tabs = [
    ...(may("administer") ? [{ key: "accounts", label: t("access.accounts"), children: <Accounts /> }] : []),
    { key: "tokens", label: t("access.tokens"), children: <Tokens /> },
    ...(may("administer") ? [{ key: "audit", label: t("access.audit"), children: <Audit /> }] : []),
  ];
  return (
    <div className="page">
      <h1>{t("access.title")}</h1>
      <Tabs
        activeKey={params.get("tab") ?? tabs[0]?.key ?? ""}
        onChange={(tab) => setParams({ tab }, { replace: true })}
        items={tabs}
        destroyOnHidden
      />
    </div>
  );
}
