import { CheckOutlined, CopyOutlined } from "@ant-design/icons";
import { Button } from "antd";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";

interface Props {
  text: string;
  /** What is copied, for those who can't see what the button stands beside. */
  what: string;
}

/** Copies text exactly as it was observed. */
export function CopyButton({ text, what }: Props) {
  const { t } = useTranslation();
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1500);
    return () => clearTimeout(timer);
  }, [copied]);
  const label = copied ? t("action.copied") : t("action.copy_what", { what });
  return (
    <Button
      type="text"
      size="small"
      className="quiet-button"
      aria-label={label}
      title={label}
      icon={copied ? <CheckOutlined aria-hidden /> : <CopyOutlined aria-hidden />}
      onClick={(event) => {
        event.stopPropagation();
        void navigator.clipboard.writeText(text).then(() => setCopied(true));
      }}
    />
  );
}
