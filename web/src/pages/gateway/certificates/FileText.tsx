import { FolderOpenOutlined } from "@ant-design/icons";
import { Button, Input } from "antd";
import { useRef } from "react";
import { useTranslation } from "react-i18next";

interface Props {
  placeholder: string;
  /** These three come from the form. */
  id?: string;
  value?: string;
  onChange?: (text: string) => void;
}

/** A text that is pasted, or read from a file. */
export function FileText({ placeholder, id, value, onChange }: Props) {
  const { t } = useTranslation();
  const input = useRef<HTMLInputElement>(null);
  return (
    <div className="file-text">
      <Input.TextArea
        {...(id !== undefined && { id })}
        className="mono"
        spellCheck={false}
        rows={3}
        placeholder={placeholder}
        value={value ?? ""}
        onChange={(e) => onChange?.(e.target.value)}
      />
      <Button size="small" icon={<FolderOpenOutlined aria-hidden />} onClick={() => input.current?.click()}>
        {t("gateway.from_file")}
      </Button>
      <input
        ref={input}
        type="file"
        hidden
        onChange={(event) => {
          const file = event.target.files?.[0];
          event.target.value = "";
          void file?.text().then((text) => onChange?.(text));
        }}
      />
    </div>
  );
}
