import { SettingOutlined } from "@ant-design/icons";
import { Button, Popover, Select } from "antd";
import { useTranslation } from "react-i18next";
import { useFields } from "../../api/queries";
import { composed, offered, usual } from "./columns";

interface Option {
  label: string;
  value?: string;
  doc?: string;
  options?: Option[];
}

interface Props {
  columns: string[];
  change: (columns: string[]) => void;
}

/** Which columns the table has, and in which order. */
export function ColumnPicker({ columns, change }: Props) {
  const { t } = useTranslation();
  const fields = useFields();
  const options: Option[] = [
    { label: t("logs.columns_usual"), options: composed.map((c) => ({ value: c, label: t(`column.${c}`) })) },
    {
      label: t("logs.columns_fields"),
      options: offered(fields.data ?? []).map((f) => ({ value: f.name, label: f.name, doc: f.doc })),
    },
  ];
  return (
    <Popover
      trigger="click"
      placement="bottomRight"
      title={t("logs.columns")}
      content={
        <div className="column-picker">
          <Select<string[], Option>
            mode="multiple"
            aria-label={t("logs.columns")}
            value={columns}
            options={options}
            optionRender={(option) => <span title={option.data.doc ?? ""}>{option.label}</span>}
            onChange={(next) => next.length > 0 && change(next)}
          />
          <Button size="small" onClick={() => change(usual)}>
            {t("logs.columns_reset")}
          </Button>
        </div>
      }
    >
      <Button size="small" icon={<SettingOutlined aria-hidden />}>
        {t("logs.columns")}
      </Button>
    </Popover>
  );
}
