import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { Alert, App, Button, Steps } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import { policyCheck, useAuthorities } from "../../../api/gateway";
import type { Policy } from "../../../api/types";
import { useErrorText } from "../../../components/errors";
import { useSettled } from "../../../components/settled";
import { CertificateStep } from "./CertificateStep";
import { draftOf, policyOf, scopeOf, stepOf, unitsOf, withoutEmpty } from "./draft";
import { Review } from "./Review";
import { ScopesStep } from "./ScopesStep";
import { useLeaving } from "../leaving";
import { useSave } from "./save";

const steps = ["certificate", "scopes", "review"] as const;

type Step = (typeof steps)[number];

interface Props {
  /** The policy as it is stored; undefined for a new one. */
  policy: Policy | undefined;
  /** What the scopes of all other policies take of the quota, and the whole of it. */
  others: number;
  max: number;
}

/** The steps to a policy. Nothing is stored before the last one. */
export function Editor({ policy, others, max }: Props) {
  const { t } = useTranslation();
  const { message } = App.useApp();
  const navigate = useNavigate();
  const text = useErrorText();
  const [first] = useState(() => draftOf(policy));
  const [draft, setDraft] = useState(first);
  const [step, setStep] = useState(0);
  const [tried, setTried] = useState(false);
  const [enabled, setEnabled] = useState(!first.disabled);
  const [wrong, setWrong] = useState<unknown>(null);
  const queries = useQueryClient();
  // What stands chosen in the form when nobody has chosen.
  const authorities = useAuthorities();
  const authority = draft.authority || (authorities.data?.authorities[0]?.name ?? "");
  const written = { ...policyOf(draft), authority };
  const check = useQuery({
    ...policyCheck(useSettled(written)),
    placeholderData: keepPreviousData,
    refetchOnWindowFocus: false,
  });
  const save = useSave(policy);
  const dirty = JSON.stringify(draft) !== JSON.stringify(first) || enabled === first.disabled;
  const allowLeaving = useLeaving(dirty);

  const found = check.data ?? [];
  const problems = tried ? found : withoutEmpty(found, draft);
  const needed = draft.scopes.reduce((n, s) => n + unitsOf(scopeOf(s)).product, 0);
  const over = others + needed > max;
  // Nobody gets past a step with mistakes: they are shown instead.
  const go = async (to: number) => {
    setWrong(null);
    try {
      const now = to > step ? await queries.query(policyCheck(written)) : [];
      const stop = Math.min(to, over && to > 1 ? 1 : to, ...now.map(stepOf));
      setTried(tried || stop < to);
      setStep(stop);
    } catch (error) {
      setWrong(error);
    }
  };
  const submit = async () => {
    try {
      await save.run(written, enabled);
    } catch (error) {
      setWrong(error);
      return;
    }
    allowLeaving();
    void message.success(t("gateway.saved", { name: draft.name || draft.id }));
    await navigate("/gateway/policies");
  };
  const name: Step = steps[step] ?? "certificate";
  return (
    <section className="card wizard" aria-labelledby="wizard-title">
      <h2 id="wizard-title">
        {policy ? t("gateway.edit_what", { name: policy.name || policy.id }) : t("gateway.new_policy")}
      </h2>
      <Steps
        size="small"
        current={step}
        onChange={(to) => void go(to)}
        items={steps.map((s) => ({ title: t(`gateway.step_${s}`) }))}
      />
      {name === "certificate" && (
        <CertificateStep draft={draft} change={setDraft} fixedID={policy !== undefined} problems={problems} />
      )}
      {name === "scopes" && (
        <ScopesStep draft={draft} change={setDraft} problems={problems} others={others} max={max} />
      )}
      {name === "review" && <Review draft={draft} others={others} max={max} enabled={enabled} enable={setEnabled} />}
      {tried && problems.some((p) => stepOf(p) === step) && (
        <Alert type="error" showIcon role="alert" title={t("gateway.mistakes")} />
      )}
      {wrong !== null && <Alert type="error" showIcon role="alert" title={text(wrong)} />}
      <div className="buttons wizard-buttons">
        <Button onClick={() => void navigate("/gateway/policies")}>{t("action.cancel")}</Button>
        {step > 0 && <Button onClick={() => void go(step - 1)}>{t("gateway.back")}</Button>}
        {name === "review" ? (
          <Button type="primary" loading={save.pending} onClick={() => void submit()}>
            {t("gateway.save")}
          </Button>
        ) : (
          <Button type="primary" onClick={() => void go(step + 1)}>
            {t("gateway.next")}
          </Button>
        )}
      </div>
    </section>
  );
}
