import { App, Button, Spin } from "antd";
import { useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useChangeRequestRules, useRequestRules } from "../../../api/gateway";
import { DocLink } from "../../../components/DocLink";
import { ErrorBox } from "../../../components/ErrorBox";
import { useMay } from "../../../components/permissions";
import { useLeaving } from "../leaving";
import { Applications } from "./Applications";
import { example } from "./example";
import { RuleText, type RuleTextHandle } from "./RuleText";
import { Refusal } from "./Refusal";

/** By which rules requests are judged, and the applications that rules can name. */
export function Rules() {
  const { t } = useTranslation();
  const rules = useRequestRules();
  return (
    <>
      <section className="card" aria-labelledby="rules-title">
        <h2 id="rules-title">{t("gateway.rules")}</h2>
        <p className="muted">
          {t("gateway.rules_note")} <DocLink page="gateway" anchor="rules-for-urls-and-applications" />
        </p>
        {rules.error && <ErrorBox error={rules.error} retry={rules.refetch} />}
        {rules.isPending && <Spin />}
        {rules.data && <Editor stored={rules.data.text.replace(/\r\n?/g, "\n")} />}
      </section>
      <Applications />
    </>
  );
}

function Editor({ stored }: { stored: string }) {
  const { t } = useTranslation();
  const { message } = App.useApp();
  const writable = useMay()("administer");
  const save = useChangeRequestRules();
  /** undefined until something was changed. */
  const [draft, setDraft] = useState<string>();
  const editor = useRef<RuleTextHandle>(null);
  const text = draft ?? stored;
  const dirty = text !== stored;
  useLeaving(dirty);
  if (!writable && stored.trim() === "") return <p>{t("gateway.rules_none")}</p>;
  const submit = () =>
    save.mutate(text, {
      onSuccess: () => {
        setDraft((now) => (now === text ? undefined : now));
        void message.success(t("gateway.rules_saved"));
      },
    });
  const begin = () => {
    setDraft(example);
    editor.current?.focus();
  };
  return (
    <>
      <RuleText label={t("gateway.rules")} text={text} change={setDraft} writable={writable} ref={editor} />
      {save.error && <Refusal error={save.error} text={save.variables} show={(line) => editor.current?.goTo(line)} />}
      {writable && (
        <div className="buttons">
          <Button type="primary" disabled={!dirty} loading={save.isPending} onClick={submit}>
            {t("gateway.save")}
          </Button>
          {text.trim() === "" && <Button onClick={begin}>{t("gateway.rules_example")}</Button>}
        </div>
      )}
    </>
  );
}
