import { Alert } from "antd";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { Overview } from "../../api/types";
import { useFormat } from "../../components/format";
import { visible } from "../../format/visible";

/** Coverage tells of these bytes, and why each connection was not decrypted. */
const inCoverage = "decrypt_lost_bytes";

/** What was not seen or not kept: never silent. */
export function Losses({ losses }: { losses: Overview["losses"] }) {
  const { t, i18n } = useTranslation();
  const { count } = useFormat();
  const some = Object.entries(losses).filter(([code, n]) => n > 0 && code !== inCoverage);
  if (some.length === 0) return null;
  const name = (code: string) => (i18n.exists(`loss.${code}`) ? t(`loss.${code}`) : visible(code));
  return (
    <Alert
      type="warning"
      showIcon
      title={
        <>
          {t("overview.losses")}{" "}
          {some.map(([code, n]) => t("label.with", { label: name(code), more: count(n) })).join(" · ")}{" "}
          <Link to="/system">{t("overview.losses_more")}</Link>
        </>
      }
    />
  );
}
