import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { Overview } from "../../api/types";
import { useFormat } from "../../components/format";
import { logsAddress } from "../../components/range";
import { useReason } from "../../components/reason";
import type { Range } from "../../format/range";
import { term } from "../../format/query";
import { ShareBar } from "./ShareBar";

interface Props {
  coverage: Overview["decryption"];
  range: Range;
}

/** The share of TLS connections that could be read, and why not the rest. */
export function Coverage({ coverage, range }: Props) {
  const { t } = useTranslation();
  const { count, percent } = useFormat();
  const parts = [
    { label: "decrypted", state: "yes", n: coverage.yes },
    { label: "partial", state: "partial", n: coverage.partial },
    { label: "not_decrypted", state: "no", n: coverage.no },
  ];
  return (
    <section className="card" aria-labelledby="coverage-title">
      <h2 id="coverage-title">{t("overview.coverage_title")}</h2>
      {coverage.tls === 0 && <p className="muted">{t("overview.coverage_none")}</p>}
      <ShareBar coverage={coverage} />
      <ul className="legend">
        {parts.map((p) => (
          <li key={p.label}>
            <span className={`swatch share-${p.label}`} aria-hidden />
            <Link to={logsAddress(`kind:tls and decrypted:${p.state}`, range)}>{t(`label.${p.label}`)}</Link>
            <strong>{count(p.n)}</strong>
            <span className="muted">{percent(p.n, coverage.tls)}</span>
          </li>
        ))}
      </ul>
      {coverage.sources.length > 0 && <h3>{t("overview.sources")}</h3>}
      <ul className="legend">
        {coverage.sources.map(({ source, connections }) => (
          <li key={source}>
            <Link to={logsAddress(`kind:tls and not decrypted:no and decrypt_source:${source}`, range)}>
              {t(`source.${source}`)}
            </Link>
            <strong>{count(connections)}</strong>
            <span className="muted">{percent(connections, coverage.yes + coverage.partial)}</span>
          </li>
        ))}
      </ul>
      {coverage.reasons.length > 0 && <h3>{t("overview.reasons")}</h3>}
      <ul className="reasons">
        {coverage.reasons.map((r) => (
          <Reason key={r.reason} code={r.reason} connections={r.connections} range={range} />
        ))}
      </ul>
    </section>
  );
}

function Reason({ code, connections, range }: { code: string; connections: number; range: Range }) {
  const { count } = useFormat();
  const { name, why } = useReason(code);
  return (
    <li>
      <div className="reason-line">
        <Link to={logsAddress(`kind:tls and ${term("reason", code)}`, range)}>{name}</Link>
        <strong>{count(connections)}</strong>
      </div>
      <p className="muted">{why}</p>
    </li>
  );
}
