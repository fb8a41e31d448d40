import { memo } from "react";
import { useTranslation } from "react-i18next";
import type { Record } from "../../api/types";
import { DecryptedLabel } from "../../components/DecryptedLabel";
import { useFormat } from "../../components/format";
import { Clipped } from "../../components/Text";
import { cellOf } from "./columns";
import { useValueMenu } from "./valueMenu";

interface Props {
  record: Record;
  columns: string[];
}

/** The cells of one event. */
export const Cells = memo(function Cells({ record, columns }: Props) {
  return columns.map((column) => (
    <div key={column} role="gridcell" className={`cell cell-${column.replaceAll(".", "-")}`}>
      <Content record={record} column={column} />
    </div>
  ));
});

function Content({ record, column }: { record: Record; column: string }) {
  const { t } = useTranslation();
  const { exact, bytes } = useFormat();
  const openMenu = useValueMenu();
  if (column === "time") return <span className="time">{exact(record.time)}</span>;
  if (column === "decrypted") return <DecryptedLabel record={record} />;
  if (column === "kind") return <span className={`kind kind-${record.kind}`}>{t(`kind.${record.kind}`)}</span>;
  const { text, cell } = cellOf(record, column);
  if (text === "") return null;
  if (column === "size") return <span>{bytes(Number(text))}</span>;
  if (!cell) return <Clipped text={text} />;
  return (
    // Reached from the keyboard through the drawer, where every value has its own button.
    <button
      type="button"
      tabIndex={-1}
      className={`value ${statusClass(column, text)}`}
      onClick={(event) => openMenu(cell, event)}
    >
      <Clipped text={text} />
    </button>
  );
}

function statusClass(column: string, text: string): string {
  if (column !== "status") return "";
  return /^[45]\d\d$|^(SERVFAIL|REFUSED|NXDOMAIN)$/.test(text) ? "status-bad" : "";
}
