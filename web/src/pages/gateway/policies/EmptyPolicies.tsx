import { PlusOutlined } from "@ant-design/icons";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { DocLink } from "../../../components/DocLink";
import { useMay } from "../../../components/permissions";

const steps = ["certificate", "scopes", "trust"] as const;

/** Shown until there is a policy: what one is, and how to make it. */
export function EmptyPolicies() {
  const { t } = useTranslation();
  const may = useMay();
  return (
    <div className="empty-page">
      <h2>{t("gateway.empty_title")}</h2>
      <p className="muted">{t("gateway.empty_text")}</p>
      <ol className="gateway-steps">
        {steps.map((step) => (
          <li key={step} className="card">
            <strong>{t(`gateway.empty_${step}`)}</strong>
            <p className="muted small">{t(`gateway.empty_${step}_text`)}</p>
          </li>
        ))}
      </ol>
      {may("administer") && (
        <Link to="/gateway/new-policy" className="button-link">
          <PlusOutlined aria-hidden /> {t("gateway.first_policy")}
        </Link>
      )}
      <DocLink page="gateway" />
    </div>
  );
}
