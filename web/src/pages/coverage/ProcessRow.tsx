import { CheckCircleFilled, MinusCircleOutlined } from "@ant-design/icons";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { ProcessCoverage } from "../../api/types";
import { DocLink } from "../../components/DocLink";
import { useFormat } from "../../components/format";
import { logsAddress, useRange } from "../../components/range";
import { useCoverageReason } from "../../components/reason";
import { Clipped, Text } from "../../components/Text";
import { narrow, term } from "../../format/query";
import { containerName, libraryOf } from "./processes";

/** One process and library: who it is, whether it is seen into, and if not, why and what to do. */
export function ProcessRow({ coverage: c }: { coverage: ProcessCoverage }) {
  const { t } = useTranslation();
  const { bytes, moment } = useFormat();
  const [range] = useRange();
  const { process, container } = c;
  const name = process.name ?? "";
  const search = narrow(term("process.pid", process.pid), name === "" ? "kind:*" : term("process.name", name));
  return (
    <tr>
      <td className="process-process">
        <Link className="process-name" to={logsAddress(search, range)} title={t("coverage.events_of")}>
          <Clipped text={name === "" ? "?" : name} />
          <span>({process.pid})</span>
        </Link>
        <Clipped className="muted small" text={process.command_line ?? process.exe ?? ""} />
      </td>
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
      <td>{moment(c.since)}</td>
      <td className="process-bytes">{bytes(c.bytes)}</td>
    </tr>
  );
}

function State({ coverage: c }: { coverage: ProcessCoverage }) {
  const { t } = useTranslation();
  const reason = useCoverageReason(c.reason ?? "");
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
        <MinusCircleOutlined aria-hidden /> {t("label.with", { label: t("coverage.not_covered"), more: reason.name })}
      </span>
      {reason.todo && (
        <p className="small">
          {reason.todo} <DocLink page="coverage" anchor={c.reason} />
        </p>
      )}
      {c.detail && (
        <p className="muted small break">
          <Text text={c.detail} />
        </p>
      )}
    </>
  );
}
