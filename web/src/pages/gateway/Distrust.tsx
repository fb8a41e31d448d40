import { CheckCircleFilled } from "@ant-design/icons";
import { Spin } from "antd";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { useAuthorities, useDistrust } from "../../api/gateway";
import { ErrorBox } from "../../components/ErrorBox";
import { useFormat } from "../../components/format";
import { Clipped, Text } from "../../components/Text";
import { visible } from "../../format/visible";

const columns = ["client", "count", "names", "last_seen"] as const;

/** Clients whose programs end the handshake since they do not know the gateway's root. */
export function Distrust() {
  const { t } = useTranslation();
  const { count, moment } = useFormat();
  const distrust = useDistrust();
  const first = useAuthorities().data?.authorities[0];
  const clients = distrust.data?.clients ?? [];
  return (
    <section className="card" aria-labelledby="distrust-title">
      <h2 id="distrust-title">{t("gateway.part_distrust")}</h2>
      <p className="muted">
        {t("gateway.distrust_note")}{" "}
        {first && (
          <Link to={`/gateway/certificates/${encodeURIComponent(first.name)}`}>{t("gateway.install_link")}</Link>
        )}
      </p>
      {distrust.error && <ErrorBox error={distrust.error} retry={distrust.refetch} />}
      {distrust.isPending && <Spin />}
      {distrust.data && clients.length === 0 && (
        <p className="state state-good">
          <CheckCircleFilled aria-hidden /> {t("gateway.distrust_none")}
        </p>
      )}
      {clients.length > 0 && (
        <div className="access-scroll" tabIndex={0} role="region" aria-labelledby="distrust-title">
          <table className="plain-table distrust">
            <thead>
              <tr>
                {columns.map((column) => (
                  <th key={column} scope="col" className={`distrust-${column}`}>
                    {t(`gateway.column_${column}`)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {clients.map((c) => (
                <tr key={c.client}>
                  <td className="mono">
                    <Text text={c.client} />
                  </td>
                  <td className="distrust-count">{count(c.count)}</td>
                  <td>
                    <Clipped text={c.names.map((name) => visible(name)).join(", ")} />
                  </td>
                  <td className="time">{moment(c.last_seen)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
