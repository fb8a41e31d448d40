import { useTranslation } from "react-i18next";
import type { Record } from "../../../api/types";
import { DocLink } from "../../../components/DocLink";
import { useCoverageDetail, useCoverageReason } from "../../../components/reason";
import { Fact, Facts } from "./Facts";

/** Whether the probe sees into a process, and if not, why and what to do. */
export function CoverageFacts({ coverage }: { coverage: NonNullable<Record["coverage"]> }) {
  const { t } = useTranslation();
  const reason = useCoverageReason(coverage.reason ?? "");
  const detail = useCoverageDetail(coverage);
  return (
    <>
      {reason.todo && (
        <p className="drawer-why">
          {reason.todo} <DocLink page="coverage" anchor={coverage.reason} />
        </p>
      )}
      <Facts>
        <Fact
          name={t("coverage.column_state")}
          value={coverage.state}
          shown={t(`coverage.${coverage.state}`)}
          field="coverage.state"
        />
        <Fact name={t("fact.reason")} value={coverage.reason} shown={reason.name} field="coverage.reason" />
        <Fact name={t("fact.detail")} value={coverage.detail} shown={detail} />
        <Fact name={t("coverage.column_library")} value={coverage.library} field="coverage.library" />
        <Fact name={t("fact.library_version")} value={coverage.version} field="coverage.version" />
        <Fact name={t("fact.file")} value={coverage.path} field="coverage.path" mono />
      </Facts>
    </>
  );
}
