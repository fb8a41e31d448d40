import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import type { Overview } from "../../api/types";
import { useFormat } from "../../components/format";
import { logsAddress } from "../../components/range";
import { Clipped } from "../../components/Text";
import { term } from "../../format/query";
import type { Range } from "../../format/range";

/** The hosts that were talked to most. */
export function TopHosts({ hosts, range }: { hosts: Overview["top_hosts"]; range: Range }) {
  const { t } = useTranslation();
  const { count, bytes } = useFormat();
  const most = Math.max(1, ...hosts.map((h) => h.transactions));
  return (
    <section className="card top-hosts" aria-labelledby="hosts-title">
      <h2 id="hosts-title">{t("overview.top_hosts")}</h2>
      {hosts.length === 0 && <p className="muted">{t("overview.top_hosts_none")}</p>}
      {hosts.length > 0 && (
        <table className="plain-table">
          <thead>
            <tr>
              <th scope="col">{t("overview.host")}</th>
              <th scope="col" className="number">
                {t("overview.transactions")}
              </th>
              <th scope="col" className="number">
                {t("overview.bytes")}
              </th>
            </tr>
          </thead>
          <tbody>
            {hosts.map((h) => (
              <tr key={h.host}>
                <td className="host-cell">
                  <span className="host-bar" style={{ width: `${(100 * h.transactions) / most}%` }} aria-hidden />
                  <Link to={logsAddress(term("http.host", h.host), range)}>
                    <Clipped text={h.host} />
                  </Link>
                </td>
                <td className="number">{count(h.transactions)}</td>
                <td className="number">{bytes(h.bytes)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
