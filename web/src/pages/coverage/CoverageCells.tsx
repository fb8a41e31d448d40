import { CheckCircleFilled, MinusCircleOutlined } from "@ant-design/icons";
import { useTranslation } from "react-i18next";
import type { ProcessCoverage } from "../../api/types";
import { DocLink } from "../../components/DocLink";
import { useCoverageDetail, useCoverageReason } from "../../components/reason";
import { Clipped, Text } from "../../components/Text";
import { containerName, libraryOf } from "./processes";

/** Whether a process is seen into, and if not, why and what to do; its library and its container. */
export function CoverageCells({ coverage: c }: { coverage: ProcessCoverage }) {
  const { container } = c;
  return (
    <>
      <td className="process-state">
        <State coverage={c} />
      </td>
      <td>
        <Clipped text={libraryOf(c)} />
        <Clipped className="muted small" text={c.path ?? ""} />
      </td>
      <td>
        <Clipped text={containerName(container)} />
        <Clipped className="muted small" text={container?.pod ? (container.image ?? "") : ""} />
      </td>
    </>
  );
}

function State({ coverage: c }: { coverage: ProcessCoverage }) {
  const { t } = useTranslation();
  const reason = useCoverageReason(c.reason ?? "");
  const detail = useCoverageDetail(c);
  if (c.state === "covered") {
    return (
      <span className="state state-good">
        <CheckCircleFilled aria-hidden /> {t("coverage.covered")}
      </span>
    );
  }
  return (
    <>
      <span className="state">
        <MinusCircleOutlined aria-hidden /> {t("label.with", { label: t(`coverage.${c.state}`), more: reason.name })}
      </span>
      {reason.todo && (
        <p className="small">
          {reason.todo} <DocLink page="coverage" anchor={c.reason} />
        </p>
      )}
      {detail && (
        <p className="muted small break">
          <Text text={detail} />
        </p>
      )}
    </>
  );
}
