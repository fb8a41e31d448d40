import { PlusOutlined } from "@ant-design/icons";
import { Alert, App, Button, Drawer, Radio } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { APIError } from "../../api/client";
import { useFilterPreview, useSetProbeFilter } from "../../api/probe";
import type { FilterRules } from "../../api/types";
import { useErrorText } from "../../components/errors";
import { popups } from "../../components/popups";
import { useSettled } from "../../components/settled";
import { Preview } from "./Preview";
import { RuleForm } from "./RuleForm";
import { draftOf, mistakeIn, rulesOf, type Mode } from "./rules";

const modes: Mode[] = ["everything", "only", "except"];

/** As many as the server takes. */
const maxRules = 64;

/** Changes the filter. What it would do is shown before it is done. */
export function FilterEditor({ filter, close }: { filter: FilterRules; close: () => void }) {
  const { t } = useTranslation();
  const { message } = App.useApp();
  const text = useErrorText();
  const [mode, setMode] = useState(filter.mode);
  const [drafts, setDrafts] = useState(() => (filter.rules.length > 0 ? filter.rules.map(draftOf) : [draftOf()]));
  const rules = rulesOf(mode, drafts);
  const preview = useFilterPreview(useSettled(rules));
  const save = useSetProbeFilter();
  // What is wrong now, or was when it was tried to save.
  const found = save.error ?? preview.error;
  const mistakes = found instanceof APIError ? found.mistakes : new Map<string, string>();
  const changed = <T,>(set: (value: T) => void) => {
    return (value: T) => {
      save.reset();
      set(value);
    };
  };
  const submit = () =>
    save.mutate(rules, {
      onSuccess: () => {
        void message.success(t("filter.saved"));
        close();
      },
    });
  return (
    <Drawer
      open
      getContainer={popups}
      size="min(760px, 96vw)"
      title={t("filter.title")}
      closable={{ "aria-label": t("action.close") }}
      onClose={close}
      footer={
        <div className="buttons drawer-buttons">
          <Button onClick={close}>{t("action.cancel")}</Button>
          <Button type="primary" loading={save.isPending} onClick={submit}>
            {t("filter.save")}
          </Button>
        </div>
      }
    >
      <div className="filter-editor">
        <Radio.Group
          aria-label={t("filter.mode")}
          value={mode}
          onChange={(e) => changed(setMode)(e.target.value as Mode)}
          options={modes.map((value) => ({ value, label: t(`filter.mode_${value}`) }))}
          vertical
        />
        {mode !== "everything" && (
          <>
            <p className="muted">{t("filter.rules_note")}</p>
            {drafts.map((draft, i) => (
              <RuleForm
                key={draft.key}
                number={i + 1}
                draft={draft}
                // An empty rule is no mistake before somebody is done with it.
                mistake={(place) => (place === "rule" && !save.error ? undefined : mistakeIn(mistakes, i, place))}
                change={changed((next) => setDrafts(drafts.map((d) => (d.key === draft.key ? next : d))))}
                remove={
                  drafts.length > 1 ? () => changed(setDrafts)(drafts.filter((d) => d.key !== draft.key)) : undefined
                }
              />
            ))}
            <Button
              icon={<PlusOutlined aria-hidden />}
              disabled={drafts.length >= maxRules}
              onClick={() => changed(setDrafts)([...drafts, draftOf()])}
            >
              {t("filter.add")}
            </Button>
          </>
        )}
        {save.error && <Alert type="error" showIcon role="alert" title={text(save.error)} />}
        <Preview processes={preview.data?.processes} failed={preview.error !== null} />
      </div>
    </Drawer>
  );
}
