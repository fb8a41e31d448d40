import { QuestionCircleOutlined } from "@ant-design/icons";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";

/** Leads to a page of the documentation, and to a place in it. */
export function DocLink({ page, anchor }: { page: string; anchor?: string | undefined }) {
  const { t } = useTranslation();
  return (
    <Link className="doc-link" to={{ pathname: `/help/${page}`, hash: anchor ? `#${anchor}` : "" }}>
      <QuestionCircleOutlined aria-hidden /> {t("action.more")}
    </Link>
  );
}
