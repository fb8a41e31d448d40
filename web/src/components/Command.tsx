import { useTranslation } from "react-i18next";
import { CopyButton } from "./CopyButton";

/** A command, perhaps of several lines, to copy. */
export function Command({ text }: { text: string }) {
  const { t } = useTranslation();
  return (
    <div className="command">
      <code>{text}</code>
      <CopyButton text={text} what={t("empty.command")} />
    </div>
  );
}
