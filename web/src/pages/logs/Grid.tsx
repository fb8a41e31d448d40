import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { Record } from "../../api/types";
import { narrowest, template } from "./columns";
import { Cells } from "./Row";

const rowHeight = 32;

interface Props {
  records: Record[];
  columns: string[];
  /** Id of the event that is shown in the drawer. */
  selected: string;
  select: (id: string) => void;
  /** Called when the end comes near. */
  more?: () => void;
  /** Told whether the reader looks elsewhere than at the newest row. */
  onAway?: (away: boolean) => void;
  /** Shown behind the last row. */
  footer: ReactNode;
}

/** The table of events. Only the rows in sight are in the page, so that many thousand scroll smoothly. */
export function Grid({ records, columns, selected, select, more, onAway, footer }: Props) {
  const { t } = useTranslation();
  const scroller = useRef<HTMLDivElement>(null);
  const [cursor, setCursor] = useState("");
  // eslint-disable-next-line react-hooks/incompatible-library -- its results are used in this component only
  const rows = useVirtualizer({
    count: records.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 20,
  });
  const items = rows.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (records.length > 0 && last >= records.length - 30) more?.();
  }, [last, records.length, more]);

  const at = records.findIndex((r) => r.id === (selected || cursor));
  const go = (index: number) => {
    const to = Math.max(0, Math.min(records.length - 1, index));
    const id = records[to]?.id;
    if (!id) return;
    setCursor(id);
    rows.scrollToIndex(to);
    if (selected) select(id);
  };
  const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 0) / rowHeight) - 2);
  const keys: { [key: string]: () => void } = {
    ArrowDown: () => go(at + 1),
    ArrowUp: () => go(at < 0 ? 0 : at - 1),
    PageDown: () => go(at + page),
    PageUp: () => go(at - page),
    Home: () => go(0),
    End: () => go(records.length - 1),
    Enter: () => records[at] && select(records[at].id),
    Escape: () => select(""),
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const act = keys[event.key];
    if (!act || event.target !== event.currentTarget) return;
    event.preventDefault();
    act();
  };
  const columnsStyle = { gridTemplateColumns: template(columns), minWidth: narrowest(columns) };
  return (
    <div
      ref={scroller}
      role="grid"
      tabIndex={0}
      className="grid"
      aria-label={t("logs.table")}
      aria-rowcount={records.length + 1}
      aria-colcount={columns.length}
      aria-activedescendant={
        at >= 0 && items.some((i) => i.index === at) ? `event-${records[at]?.id ?? ""}` : undefined
      }
      onKeyDown={onKeyDown}
      onScroll={(event) => onAway?.(event.currentTarget.scrollTop > rowHeight)}
    >
      <div role="row" className="grid-row grid-head" style={columnsStyle} aria-rowindex={1}>
        {columns.map((c) => (
          <div key={c} role="columnheader" className="cell">
            <ColumnName column={c} />
          </div>
        ))}
      </div>
      <div
        role="rowgroup"
        className="grid-body"
        style={{ height: rows.getTotalSize(), minWidth: columnsStyle.minWidth }}
      >
        {items.map(({ index, start }) => {
          const record = records[index];
          if (!record) return null;
          const marked = record.id === selected;
          return (
            <div
              key={record.id}
              id={`event-${record.id}`}
              role="row"
              aria-rowindex={index + 2}
              aria-selected={marked}
              className={`grid-row ${marked ? "grid-selected" : ""} ${index === at ? "grid-cursor" : ""}`}
              style={{ ...columnsStyle, transform: `translateY(${start}px)` }}
              onClick={() => {
                setCursor(record.id);
                select(record.id);
              }}
            >
              <Cells record={record} columns={columns} />
            </div>
          );
        })}
      </div>
      {footer}
    </div>
  );
}

function ColumnName({ column }: { column: string }) {
  const { t, i18n } = useTranslation();
  return i18n.exists(`column.${column}`) ? t(`column.${column}`) : column;
}
