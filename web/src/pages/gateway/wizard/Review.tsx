import { Alert, Checkbox } from "antd";
import { Fragment } from "react";
import { useTranslation } from "react-i18next";
import { useAuthorities } from "../../../api/gateway";
import { Text } from "../../../components/Text";
import { textOf } from "../lists";
import { cases, choices, lists, scopeOf, type Draft, type ScopeDraft } from "./draft";
import { Arithmetic } from "./ScopeForm";
import { QuotaSum } from "./ScopesStep";

interface Props {
  draft: Draft;
  others: number;
  max: number;
  enabled: boolean;
  enable: (on: boolean) => void;
}

/** All that was written, before it is stored. */
export function Review({ draft, others, max, enabled, enable }: Props) {
  const { t } = useTranslation();
  const authorities = useAuthorities().data?.authorities ?? [];
  const authority = authorities.find((a) => a.name === draft.authority) ?? authorities[0];
  return (
    <>
      <dl className="facts">
        <dt>{t("gateway.name")}</dt>
        <dd>
          <Text text={draft.name || "–"} /> <code>{draft.id}</code>
        </dd>
        <dt>{t("gateway.description")}</dt>
        <dd>
          <Text text={draft.description || "–"} />
        </dd>
        <dt>{t("gateway.authority")}</dt>
        <dd>
          <Text text={authority?.name ?? t("gateway.none")} />
        </dd>
        {cases.map((which) => (
          <Fragment key={which}>
            <dt>{t(`gateway.case_${which}`)}</dt>
            <dd>{t(`gateway.choice_${draft.cases[which] || choices[which][0]}`)}</dd>
          </Fragment>
        ))}
      </dl>
      {authority?.trial && <Alert type="warning" showIcon title={t("gateway.trial_warning")} />}
      {!authority && <Alert type="warning" showIcon title={t("gateway.no_authority")} />}
      {draft.scopes.map((scope, i) => (
        <ScopeFacts key={scope.key} scope={scope} number={i + 1} />
      ))}
      <QuotaSum scopes={draft.scopes} others={others} max={max} />
      <Checkbox checked={enabled} onChange={(e) => enable(e.target.checked)}>
        <strong>{t("gateway.enable_now")}</strong> <span className="muted">{t("gateway.enable_note")}</span>
      </Checkbox>
    </>
  );
}

function ScopeFacts({ scope, number }: { scope: ScopeDraft; number: number }) {
  const { t } = useTranslation();
  const said = scopeOf(scope);
  return (
    <section className="scope-facts" aria-label={t("gateway.scope", { number })}>
      <h3>
        {t("gateway.scope", { number })} <code>{scope.id}</code>
      </h3>
      {scope.description && (
        <p>
          <Text text={scope.description} />
        </p>
      )}
      <dl className="facts">
        {lists.map((list) => (
          <Fragment key={list}>
            <dt>{t(`gateway.list_${list}`)}</dt>
            <dd className="mono scope-list" tabIndex={0}>
              {textOf(said[list]) || "–"}
            </dd>
          </Fragment>
        ))}
        <dt>QUIC</dt>
        <dd>{scope.allow_quic ? t("gateway.quic_allowed") : t("gateway.quic_refused")}</dd>
      </dl>
      <Arithmetic scope={scope} />
    </section>
  );
}
