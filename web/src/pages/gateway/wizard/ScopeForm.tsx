import { DeleteOutlined } from "@ant-design/icons";
import { Button, Checkbox, Input } from "antd";
import { useTranslation } from "react-i18next";
import { Field } from "../../../components/Field";
import { useFormat } from "../../../components/format";
import { problemOf } from "../lists";
import { lists, scopeOf, unitsOf, type List, type ScopeDraft } from "./draft";

const examples: { [L in List]: string } = {
  sources: "10.1.0.0/16\n10.2.0.7\n2001:db8::/32",
  source_ports: "0/65535",
  destinations: "0.0.0.0/0\n::/0",
  destination_ports: "443/443\n8443/8450",
};

interface Props {
  number: number;
  scope: ScopeDraft;
  problems: readonly { field: string; message: string }[];
  change: (scope: ScopeDraft) => void;
  remove: (() => void) | undefined;
}

/** The fields of one scope, and its quota. */
export function ScopeForm({ number, scope, problems, change, remove }: Props) {
  const { t } = useTranslation();
  const mistake = (field: string) => problemOf(problems, `scopes[${number - 1}].${field}`);
  return (
    <fieldset className="rule">
      <legend>{t("gateway.scope", { number })}</legend>
      {remove && (
        <Button
          type="text"
          size="small"
          className="rule-remove"
          icon={<DeleteOutlined aria-hidden />}
          aria-label={t("gateway.remove_scope", { number })}
          title={t("gateway.remove_scope", { number })}
          onClick={remove}
        />
      )}
      <div className="wizard-fields">
        <Field name={t("gateway.id")} mistake={mistake("id")}>
          {(labels) => (
            <Input
              {...labels}
              className="mono"
              value={scope.id}
              maxLength={64}
              onChange={(e) => change({ ...scope, id: e.target.value })}
            />
          )}
        </Field>
        <Field name={t("gateway.description")} mistake={mistake("description")}>
          {(labels) => (
            <Input
              {...labels}
              value={scope.description}
              maxLength={2000}
              onChange={(e) => change({ ...scope, description: e.target.value })}
            />
          )}
        </Field>
      </div>
      <div className="scope-lists">
        {lists.map((list) => (
          <Field
            key={list}
            name={t(`gateway.list_${list}`)}
            hint={t(`gateway.list_${list}_hint`)}
            mistake={mistake(list)}
          >
            {(labels) => (
              <Input.TextArea
                {...labels}
                className="mono"
                rows={3}
                spellCheck={false}
                placeholder={examples[list]}
                value={scope[list]}
                status={mistake(list) ? "error" : ""}
                onChange={(e) => change({ ...scope, [list]: e.target.value })}
              />
            )}
          </Field>
        ))}
      </div>
      <Checkbox checked={scope.allow_quic} onChange={(e) => change({ ...scope, allow_quic: e.target.checked })}>
        {t("gateway.allow_quic")} <span className="muted">{t("gateway.allow_quic_note")}</span>
      </Checkbox>
      <Arithmetic scope={scope} />
    </fieldset>
  );
}

/** How the quota of a scope comes about. */
export function Arithmetic({ scope }: { scope: ScopeDraft }) {
  const { t } = useTranslation();
  const { count } = useFormat();
  const units = unitsOf(scopeOf(scope));
  return (
    <p className="arithmetic" role="status">
      {t("gateway.units")}{" "}
      {lists.map((list, i) => (
        <span key={list}>
          {i > 0 && " × "}
          {t(`gateway.units_${list}`, { n: count(units[list]) })}
        </span>
      ))}
      {" = "}
      <strong>{count(units.product)}</strong>
    </p>
  );
}
