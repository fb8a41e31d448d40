import { useTranslation } from "react-i18next";
import type { Record } from "../../../api/types";
import { Fact, Facts } from "./Facts";

/** Which rule fits a transaction, and what became of that. */
export function FindingFacts({ finding }: { finding: NonNullable<Record["finding"]> }) {
  const { t } = useTranslation();
  return (
    <Facts>
      <Fact name={t("fact.found")} value={finding.name} field="finding.name" />
      <Fact
        name={t("fact.finding_action")}
        value={finding.action}
        shown={t(`finding.${finding.action ?? "allowed"}`)}
        field="finding.action"
      />
      <Fact name={t("fact.rule")} value={finding.rule} field="finding.rule" mono />
      <Fact name={t("fact.severity")} value={finding.severity} field="finding.severity" />
      <Fact name={t("fact.reference")} value={finding.reference} field="finding.reference" mono />
      <Fact name={t("fact.application")} value={finding.application} field="finding.application" />
      <Fact name={t("fact.activities")} value={finding.activities?.join(", ")} />
      <Fact name={t("fact.method")} value={finding.method} field="finding.method" />
      <Fact name={t("fact.host")} value={finding.host} field="finding.host" />
      <Fact name={t("fact.url")} value={finding.url} field="finding.url" />
    </Facts>
  );
}
