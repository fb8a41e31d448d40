import { EditOutlined, UndoOutlined } from "@ant-design/icons";
import { App, Button } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useSetProbeFilter } from "../../api/probe";
import type { FilterRules, FilterState } from "../../api/types";
import { DocLink } from "../../components/DocLink";
import { useErrorText } from "../../components/errors";
import { useFormat } from "../../components/format";
import { useMay } from "../../components/permissions";
import { Text } from "../../components/Text";
import { FilterEditor } from "./FilterEditor";
import { conditions } from "./rules";

/** Whose plaintext is taken, and for administrators the way to change it. */
export function FilterCard({ state }: { state: FilterState }) {
  const { t } = useTranslation();
  const { moment } = useFormat();
  const { message, modal } = App.useApp();
  const may = useMay();
  const text = useErrorText();
  const undo = useSetProbeFilter();
  const [editing, setEditing] = useState(false);
  const { filter, previous } = state;
  const goBack = (to: FilterRules) =>
    modal.confirm({
      title: t("filter.undo_title"),
      content: <RulesInWords rules={to} />,
      okText: t("filter.undo"),
      cancelText: t("action.cancel"),
      onOk: () =>
        undo.mutateAsync(to).then(
          () => message.success(t("filter.saved")),
          (error: unknown) => message.error(text(error)),
        ),
    });
  return (
    <section className="card" aria-labelledby="filter-title">
      <div className="card-head">
        <h2 id="filter-title">{t("filter.title")}</h2>
        <DocLink page="coverage" anchor="filters" />
        {may("administer") && (
          <div className="buttons card-buttons">
            {previous && (
              <Button icon={<UndoOutlined aria-hidden />} onClick={() => goBack(previous)}>
                {t("filter.undo")}
              </Button>
            )}
            <Button icon={<EditOutlined aria-hidden />} onClick={() => setEditing(true)}>
              {t("filter.change")}
            </Button>
          </div>
        )}
      </div>
      <RulesInWords rules={filter} />
      <p className="muted small">
        {state.changed
          ? t("filter.changed", { time: moment(state.changed), actor: state.actor ?? "" })
          : t("filter.configured")}
      </p>
      {editing && <FilterEditor filter={filter} close={() => setEditing(false)} />}
    </section>
  );
}

/** The mode and the rules of a filter, as sentences. */
export function RulesInWords({ rules }: { rules: FilterRules }) {
  const { t } = useTranslation();
  return (
    <div className="rules-in-words">
      <p>{t(`filter.mode_${rules.mode}`)}</p>
      {rules.rules.length > 0 && (
        <ul>
          {rules.rules.map((rule, i) => (
            <li key={i}>
              {conditions(rule).map(({ field, text }) => (
                <span key={field} className="condition">
                  {t(`filter.field_${field}`)}{" "}
                  {field === "direction" ? (
                    <strong>{t(`filter.direction_${text}`)}</strong>
                  ) : (
                    <code>
                      <Text text={text} />
                    </code>
                  )}
                </span>
              ))}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
