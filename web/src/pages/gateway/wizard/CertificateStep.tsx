import { Alert, Button, Input, Radio, Spin } from "antd";
import { useState, type Dispatch, type SetStateAction } from "react";
import { useTranslation } from "react-i18next";
import { useAuthorities } from "../../../api/gateway";
import type { Authority } from "../../../api/types";
import { ErrorBox } from "../../../components/ErrorBox";
import { Field } from "../../../components/Field";
import { Text } from "../../../components/Text";
import { problemOf } from "../lists";
import { ImportAuthority } from "../certificates/ImportAuthority";
import { TrialButton } from "../certificates/TrialButton";
import { Validity } from "../certificates/Validity";
import { idOf, type Draft } from "./draft";

export interface StepProps {
  draft: Draft;
  change: Dispatch<SetStateAction<Draft>>;
  problems: readonly { field: string; message: string }[];
}

/** What the policy is called, and who signs for it. */
export function CertificateStep({ draft, change, problems, fixedID }: StepProps & { fixedID: boolean }) {
  const { t } = useTranslation();
  const name = (text: string) => change((d) => ({ ...d, name: text, ...(!d.ownID && { id: idOf(text) }) }));
  return (
    <>
      <div className="wizard-fields">
        <Field name={t("gateway.name")} mistake={problemOf(problems, "name")}>
          {(labels) => <Input {...labels} value={draft.name} maxLength={200} onChange={(e) => name(e.target.value)} />}
        </Field>
        <Field name={t("gateway.id")} hint={t("gateway.id_hint")} mistake={problemOf(problems, "id")}>
          {(labels) => (
            <Input
              {...labels}
              className="mono"
              value={draft.id}
              maxLength={64}
              disabled={fixedID}
              onChange={(e) => change((d) => ({ ...d, id: e.target.value, ownID: true }))}
            />
          )}
        </Field>
      </div>
      <Field name={t("gateway.description")} mistake={problemOf(problems, "description")}>
        {(labels) => (
          <Input.TextArea
            {...labels}
            rows={1}
            value={draft.description}
            maxLength={2000}
            onChange={(e) => change((d) => ({ ...d, description: e.target.value }))}
          />
        )}
      </Field>
      <Authorities
        chosen={draft.authority}
        choose={(authority) => change((d) => ({ ...d, authority }))}
        mistake={problemOf(problems, "authority")}
      />
    </>
  );
}

interface AuthoritiesProps {
  chosen: string;
  choose: (name: string) => void;
  mistake: string | undefined;
}

function Authorities({ chosen, choose, mistake }: AuthoritiesProps) {
  const { t } = useTranslation();
  const authorities = useAuthorities();
  const [importing, setImporting] = useState(false);
  const list = authorities.data?.authorities ?? [];
  const made = (authority: Authority) => choose(authority.name);
  return (
    <fieldset className="rule">
      <legend>{t("gateway.authority")}</legend>
      <p className="muted">{t("gateway.authority_note")}</p>
      {authorities.error && <ErrorBox error={authorities.error} retry={authorities.refetch} />}
      {authorities.isPending && <Spin />}
      <Radio.Group
        vertical
        aria-label={t("gateway.authority")}
        value={chosen || list[0]?.name}
        onChange={(e) => choose(String(e.target.value))}
        options={list.map((a) => ({ value: a.name, label: <Choice authority={a} /> }))}
      />
      {authorities.data && list.length === 0 && <Alert type="info" showIcon title={t("gateway.no_authority")} />}
      {mistake && (
        <p className="field-mistake" role="alert">
          {mistake}
        </p>
      )}
      <div className="buttons">
        <TrialButton authorities={list} made={made} />
        <Button onClick={() => setImporting(true)}>{t("gateway.import_authority")}</Button>
      </div>
      {importing && <ImportAuthority close={() => setImporting(false)} made={made} />}
    </fieldset>
  );
}

function Choice({ authority }: { authority: Authority }) {
  const { t } = useTranslation();
  return (
    <span className="authority-choice">
      <strong>
        <Text text={authority.name} />
      </strong>
      {authority.trial && <span className="kind">{t("gateway.trial")}</span>}
      <span className="muted">
        <Text text={authority.subject} />
      </span>
      <Validity authority={authority} />
    </span>
  );
}
