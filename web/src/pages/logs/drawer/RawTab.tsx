import { useTranslation } from "react-i18next";
import type { Record } from "../../../api/types";
import { CopyButton } from "../../../components/CopyButton";
import { Text } from "../../../components/Text";

/** The event as the API gives it. */
export function RawTab({ record }: { record: Record }) {
  const { t } = useTranslation();
  const text = JSON.stringify(record, null, 2);
  return (
    <>
      <CopyButton text={text} what="JSON" />
      <pre className="body-text" tabIndex={0} aria-label={t("drawer.raw")}>
        <Text text={text} lines />
      </pre>
    </>
  );
}
