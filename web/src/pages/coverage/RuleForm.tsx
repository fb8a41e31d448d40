import { DeleteOutlined } from "@ant-design/icons";
import { Button, Input, Select } from "antd";
import { useTranslation } from "react-i18next";
import { Field } from "../../components/Field";
import { texts, type Draft, type Place } from "./rules";

/** What can be written in a field, where its name does not say it. */
const examples: { [P in Place]?: string } = {
  pid: "4711",
  exe: "/usr/bin/*",
  name: "curl",
  command_line: "python3 *manage.py*",
  user: "www-data",
  image: "registry.example.com/shop:*",
  namespace: "kube-*",
  ports: "443, 8000-8999",
};

interface Props {
  number: number;
  draft: Draft;
  mistake: (place: Place) => string | undefined;
  change: (draft: Draft) => void;
  remove: (() => void) | undefined;
}

/** The fields of one rule. */
export function RuleForm({ number, draft, mistake, change, remove }: Props) {
  const { t } = useTranslation();
  const whole = mistake("rule");
  return (
    <fieldset className="rule">
      <legend>{t("filter.rule", { number })}</legend>
      {remove && (
        <Button
          type="text"
          size="small"
          className="rule-remove"
          icon={<DeleteOutlined aria-hidden />}
          aria-label={t("filter.remove", { number })}
          title={t("filter.remove", { number })}
          onClick={remove}
        />
      )}
      <div className="rule-fields">
        {([...texts, "pid", "ports"] as const).map((place) => (
          <Field key={place} name={t(`filter.field_${place}`)} mistake={mistake(place)}>
            {(labels) => (
              <Input
                {...labels}
                value={draft[place]}
                maxLength={1024}
                placeholder={examples[place]}
                status={mistake(place) ? "error" : ""}
                onChange={(e) => change({ ...draft, [place]: e.target.value })}
              />
            )}
          </Field>
        ))}
        <Field name={t("filter.field_direction")} mistake={mistake("direction")}>
          {(labels) => (
            <Select<Draft["direction"]>
              {...labels}
              value={draft.direction}
              onChange={(direction) => change({ ...draft, direction })}
              options={(["", "incoming", "outgoing"] as const).map((value) => ({
                value,
                label: value === "" ? t("filter.direction_any") : t(`filter.direction_${value}`),
              }))}
            />
          )}
        </Field>
      </div>
      {whole && (
        <p className="field-mistake" role="alert">
          {whole}
        </p>
      )}
    </fieldset>
  );
}
