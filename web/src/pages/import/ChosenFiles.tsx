import { DeleteOutlined, FileOutlined, KeyOutlined } from "@ant-design/icons";
import { Button, Select } from "antd";
import { useTranslation } from "react-i18next";
import { useFormat } from "../../components/format";
import { Clipped } from "../../components/Text";
import { visible } from "../../format/visible";

export interface Chosen {
  file: File;
  keylog: boolean;
}

interface Props {
  chosen: Chosen[];
  disabled: boolean;
  change: (chosen: Chosen[]) => void;
}

/** The files that are about to be sent, and what each is taken for. */
export function ChosenFiles({ chosen, disabled, change }: Props) {
  const { t } = useTranslation();
  const { bytes } = useFormat();
  return (
    <ul className="chosen">
      {chosen.map(({ file, keylog }, i) => (
        <li key={`${i} ${file.name}`}>
          {keylog ? <KeyOutlined aria-hidden /> : <FileOutlined aria-hidden />}
          <Clipped text={file.name} />
          <span className="muted">{bytes(file.size)}</span>
          <Select
            size="small"
            disabled={disabled}
            aria-label={t("import.kind_of", { name: visible(file.name) })}
            value={keylog ? "keylog" : "capture"}
            onChange={(kind) => change(chosen.map((c, j) => (j === i ? { file, keylog: kind === "keylog" } : c)))}
            options={[
              { value: "capture", label: t("import.capture") },
              { value: "keylog", label: t("import.keylog") },
            ]}
          />
          <Button
            type="text"
            size="small"
            disabled={disabled}
            icon={<DeleteOutlined aria-hidden />}
            aria-label={t("import.remove", { name: visible(file.name) })}
            onClick={() => change(chosen.filter((_, j) => j !== i))}
          />
        </li>
      ))}
    </ul>
  );
}
