import { Alert, Button } from "antd";
import { useTranslation } from "react-i18next";
import { useResumeProbe } from "../../api/probe";
import type { Probe } from "../../api/types";
import { DocLink } from "../../components/DocLink";
import { useErrorText } from "../../components/errors";
import { useFormat } from "../../components/format";
import { useMay } from "../../components/permissions";
import { useExcess, useOff, useReason } from "../../components/reason";
import { Text } from "../../components/Text";

/** Whether the probe sees anything at all; nothing while it simply runs. */
export function ProbeState({ probe }: { probe: Probe }) {
  if (probe.state === "off") return <Off probe={probe} />;
  if (probe.state === "paused") return <Paused probe={probe} />;
  return null;
}

function Off({ probe }: { probe: Probe }) {
  const { t } = useTranslation();
  const off = useOff();
  return (
    <div className="empty-page">
      <h2>{t("coverage.off_title")}</h2>
      <p>
        <Text text={off(probe.off, probe.detail) || t("coverage.off_unknown")} />
      </p>
      <p className="muted">{t("coverage.off_what")}</p>
      <div className="empty-ways">
        <section className="card">
          <h3>{t("coverage.off_do_title")}</h3>
          <p>{t("coverage.off_do")}</p>
          <div className="command">
            <code>sudo make run</code>
          </div>
        </section>
        <section className="card">
          <h3>{t("coverage.off_keys_title")}</h3>
          <p>{t("coverage.off_keys")}</p>
          <p>
            <DocLink page="coverage" anchor="the-probe-is-off" />
          </p>
        </section>
      </div>
    </div>
  );
}

function Paused({ probe }: { probe: Probe }) {
  const { t } = useTranslation();
  const { moment } = useFormat();
  const may = useMay();
  const text = useErrorText();
  const resume = useResumeProbe();
  const { why } = useReason(probe.reason ?? "");
  const excess = useExcess(probe);
  return (
    <Alert
      type="warning"
      showIcon
      role="alert"
      title={<strong>{t("coverage.paused_title")}</strong>}
      description={
        <div className="probe-paused">
          <p>
            {why} <Text text={excess} />
          </p>
          <p>
            {probe.since && t("coverage.paused_since", { time: moment(probe.since) })}{" "}
            {probe.next_try
              ? t("coverage.paused_next", { time: moment(probe.next_try) })
              : t("coverage.paused_for_good")}{" "}
            {t("coverage.paused_harmless")} <DocLink page="probe-budget" />
          </p>
          {resume.error && <p className="state-bad">{text(resume.error)}</p>}
        </div>
      }
      action={
        may("administer") && (
          <Button type="primary" loading={resume.isPending} onClick={() => resume.mutate()}>
            {t("coverage.resume")}
          </Button>
        )
      }
    />
  );
}
