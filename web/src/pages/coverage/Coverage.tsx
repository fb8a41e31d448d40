import { Spin } from "antd";
import { useTranslation } from "react-i18next";
import { useCoverage, useProbe, useProbeFilter } from "../../api/probe";
import { ErrorBox } from "../../components/ErrorBox";
import { useTitle } from "../../components/title";
import { FilterCard } from "./FilterCard";
import { ProbeFacts } from "./ProbeFacts";
import { ProbeState } from "./ProbeState";
import { Processes } from "./Processes";

/** Which programs of this host are seen into, which are not, and what to do about it. */
export default function Coverage() {
  const { t } = useTranslation();
  useTitle(t("nav.coverage"));
  const probe = useProbe();
  const coverage = useCoverage();
  const filter = useProbeFilter();
  const error = probe.error ?? coverage.error ?? filter.error;
  const retry = () => Promise.all([probe.refetch(), coverage.refetch(), filter.refetch()]);
  const on = probe.data !== undefined && probe.data.state !== "off";
  return (
    <div className="page">
      <h1>{t("nav.coverage")}</h1>
      {error && <ErrorBox error={error} retry={retry} />}
      {(probe.isPending || coverage.isPending) && <Spin className="page-spin" size="large" />}
      {probe.data && <ProbeState probe={probe.data} />}
      {on && coverage.data && <Processes processes={coverage.data.processes} />}
      {on && filter.data && <FilterCard state={filter.data} />}
      {on && <ProbeFacts probe={probe.data} />}
    </div>
  );
}
