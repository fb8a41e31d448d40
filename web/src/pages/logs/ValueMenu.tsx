import { CopyOutlined, FilterOutlined, StopOutlined } from "@ant-design/icons";
import { Dropdown } from "antd";
import { useCallback, useRef, useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { narrow, term } from "../../format/query";
import type { Cell } from "../../format/record";
import { visible } from "../../format/visible";
import { ValueMenuContext, type OpenValueMenu } from "./valueMenu";

interface Props {
  q: string;
  run: (q: string) => void;
  children: ReactNode;
}

/** One menu for all values on the page: filter for, filter out, copy. */
export function ValueMenu({ q, run, children }: Props) {
  const { t } = useTranslation();
  const [at, setAt] = useState<{ cell: Cell; left: number; top: number }>();
  const opener = useRef<HTMLElement>(null);
  const open: OpenValueMenu = useCallback((cell, event) => {
    event.stopPropagation();
    opener.current = event.currentTarget;
    const box = event.currentTarget.getBoundingClientRect();
    setAt({ cell, left: box.left, top: box.bottom });
  }, []);
  const close = () => {
    setAt(undefined);
    opener.current?.focus();
  };
  const cell = at?.cell;
  const items = cell && [
    {
      key: "what",
      type: "group" as const,
      label: <span className="menu-what">{visible(`${cell.field}: ${cell.value}`.slice(0, 80))}</span>,
    },
    {
      key: "for",
      icon: <FilterOutlined aria-hidden />,
      label: t("logs.filter_for"),
      onClick: () => run(narrow(q, term(cell.field, cell.value))),
    },
    {
      key: "out",
      icon: <StopOutlined aria-hidden />,
      label: t("logs.filter_out"),
      onClick: () => run(narrow(q, term(cell.field, cell.value, true))),
    },
    {
      key: "copy",
      icon: <CopyOutlined aria-hidden />,
      label: t("logs.copy_value"),
      onClick: () => void navigator.clipboard.writeText(cell.value),
    },
  ];
  return (
    <ValueMenuContext value={open}>
      {children}
      {at && (
        <Dropdown
          open
          autoFocus
          trigger={["click"]}
          menu={{ items: items ?? [], onClick: close }}
          onOpenChange={(now) => !now && close()}
        >
          <span className="menu-anchor" style={{ left: at.left, top: at.top }} />
        </Dropdown>
      )}
    </ValueMenuContext>
  );
}
