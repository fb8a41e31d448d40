import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { Overview } from "../../api/types";
import { useFormat } from "../../components/format";
import { logsAddress, useRange } from "../../components/range";
import { ShareBar } from "./ShareBar";

/** The kinds of events that are transactions. */
const transactions = new Set(["http", "dns", "websocket", "smtp", "ftp"]);

/** The numbers that matter most. */
export function Tiles({ overview }: { overview: Overview }) {
  const { t } = useTranslation();
  const { count, percent, bytes } = useFormat();
  const [range] = useRange();
  const { tls, yes, partial } = overview.decryption;
  return (
    <ul className="tiles">
      <Tile
        name={t("overview.connections")}
        value={count(overview.connections)}
        to={logsAddress("kind:conn", range)}
        note={t("overview.connections_note")}
      />
      <Tile
        name={t("overview.coverage")}
        value={percent(yes + partial, tls) ?? "–"}
        to={logsAddress("kind:tls", range)}
        note={
          tls === 0
            ? t("overview.coverage_none")
            : t("overview.coverage_note", { decrypted: count(yes + partial), tls: count(tls) })
        }
      >
        <ShareBar coverage={overview.decryption} />
      </Tile>
      <Tile name={t("overview.volume")} value={bytes(overview.plaintext_bytes)} note={t("overview.volume_note")} />
      <Tile
        name={t("overview.transactions")}
        value={count(overview.transactions)}
        to={logsAddress("", range)}
        note={overview.kinds
          .filter((k) => transactions.has(k.kind))
          .map((k) => `${t(`kind.${k.kind}`)} ${count(k.count)}`)
          .join(" · ")}
      />
    </ul>
  );
}

interface TileProps {
  name: string;
  value: string;
  note: string;
  to?: string;
  children?: ReactNode;
}

function Tile({ name, value, note, to, children }: TileProps) {
  return (
    <li className="tile card">
      <h2>{to ? <Link to={to}>{name}</Link> : name}</h2>
      <p className="tile-value">{value}</p>
      {children}
      <p className="muted">{note}</p>
    </li>
  );
}
