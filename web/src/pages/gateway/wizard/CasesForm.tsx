import { Select } from "antd";
import { useTranslation } from "react-i18next";
import { DocLink } from "../../../components/DocLink";
import { Field } from "../../../components/Field";
import { problemOf } from "../lists";
import type { StepProps } from "./CertificateStep";
import { cases, choices } from "./draft";

/** What becomes of connections that can't be looked into as they should. */
export function CasesForm({ draft, change, problems }: StepProps) {
  const { t } = useTranslation();
  return (
    <fieldset className="rule">
      <legend>{t("gateway.cases")}</legend>
      <div className="cases">
        {cases.map((which) => (
          <Field key={which} name={t(`gateway.case_${which}`)} mistake={problemOf(problems, `cases.${which}`)}>
            {(labels) => (
              <Select
                {...labels}
                value={draft.cases[which] || choices[which][0]}
                onChange={(choice) => change((d) => ({ ...d, cases: { ...d.cases, [which]: choice } }))}
                options={choices[which].map((choice, i) => ({
                  value: choice,
                  label:
                    i === 0
                      ? t("gateway.by_default", { choice: t(`gateway.choice_${choice}`) })
                      : t(`gateway.choice_${choice}`),
                }))}
              />
            )}
          </Field>
        ))}
      </div>
      <DocLink page="gateway" anchor="configuration" />
    </fieldset>
  );
}
