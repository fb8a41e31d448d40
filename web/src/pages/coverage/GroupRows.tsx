import { DownOutlined, RightOutlined } from "@ant-design/icons";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { ProcessCoverage } from "../../api/types";
import { useFormat } from "../../components/format";
import { logsAddress, useRange } from "../../components/range";
import { Clipped } from "../../components/Text";
import { narrow, term } from "../../format/query";
import { CoverageCells } from "./CoverageCells";
import { programOf, type Group } from "./processes";

/** One program and library. Of several processes the row stands for all, and opens to each. */
export function GroupRows({ group }: { group: Group }) {
  const [open, setOpen] = useState(false);
  const id = useId();
  const { members } = group;
  if (members.length === 1) {
    return (
      <tr>
        <td className="process-process">
          <ProcessName process={group.process} />
        </td>
        <CoverageCells coverage={group} />
        <Figures coverage={group} />
      </tr>
    );
  }
  return (
    <>
      <tr>
        <td className="process-process">
          <ProgramName group={group} open={open} toggle={() => setOpen(!open)} id={id} />
        </td>
        <CoverageCells coverage={group} />
        <Figures coverage={group} />
      </tr>
      {open &&
        members.map((c) => (
          <tr key={c.process.pid} className="process-member">
            <td className="process-process" colSpan={4}>
              <ProcessName process={c.process} />
            </td>
            <Figures coverage={c} />
          </tr>
        ))}
    </>
  );
}

interface ProgramProps {
  group: Group;
  open: boolean;
  toggle: () => void;
  id: string;
}

/** The name of a program, and the button that shows its processes. */
function ProgramName({ group, open, toggle, id }: ProgramProps) {
  const { t } = useTranslation();
  const { count } = useFormat();
  const [range] = useRange();
  const { exe = "" } = group.process;
  const name = programOf(group);
  const search = exe === "" ? term("process.name", name) : term("process.exe", exe);
  return (
    <>
      <Link className="process-name" id={id} to={logsAddress(search, range)} title={t("coverage.events_of")}>
        <Clipped text={name === "" ? "?" : name} />
      </Link>
      <Clipped className="muted small" text={exe} />
      <button type="button" className="process-toggle" aria-expanded={open} aria-describedby={id} onClick={toggle}>
        {open ? <DownOutlined aria-hidden /> : <RightOutlined aria-hidden />}{" "}
        {t("coverage.group", { n: count(group.members.length) })}
      </button>
    </>
  );
}

/** The name and number of a process, and how it was called. */
function ProcessName({ process }: { process: ProcessCoverage["process"] }) {
  const { t } = useTranslation();
  const [range] = useRange();
  const name = process.name ?? "";
  const search = narrow(term("process.pid", process.pid), name === "" ? "kind:*" : term("process.name", name));
  return (
    <>
      <Link className="process-name" to={logsAddress(search, range)} title={t("coverage.events_of")}>
        <Clipped text={name === "" ? "?" : name} />
        <span>({process.pid})</span>
      </Link>
      <Clipped className="muted small" text={process.command_line ?? process.exe ?? ""} />
    </>
  );
}

/** Since when, and how much was seen. */
function Figures({ coverage: c }: { coverage: ProcessCoverage }) {
  const { bytes, moment } = useFormat();
  return (
    <>
      <td>{moment(c.since)}</td>
      <td className="process-bytes">{bytes(c.bytes)}</td>
    </>
  );
}
