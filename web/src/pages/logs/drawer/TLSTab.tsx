import { useTranslation } from "react-i18next";
import type { Record } from "../../../api/types";
import { useFormat } from "../../../components/format";
import { Fact, Facts } from "./Facts";

/** What the handshake said, and how the plaintext was had. */
export function TLSTab({ record }: { record: Record }) {
  const { t } = useTranslation();
  const { bytes, moment } = useFormat();
  const tls = record.tls;
  if (!tls) return null;
  const certificate = tls.certificate;
  return (
    <>
      <Facts>
        <Fact name={t("fact.sni")} value={tls.sni} field="tls.sni" />
        <Fact name={t("fact.version")} value={tls.version} field="tls.version" />
        <Fact name={t("fact.cipher")} value={tls.cipher} field="tls.cipher" mono />
        <Fact name={t("fact.alpn")} value={tls.alpn} field="tls.alpn" />
        <Fact name={t("fact.client_alpns")} value={tls.client_alpns?.join(", ")} />
        <Fact
          name={t("fact.resumed")}
          value={tls.resumed === undefined ? undefined : String(tls.resumed)}
          shown={t("fact.yes")}
          field="tls.resumed"
        />
        <Fact name="JA3" value={tls.ja3} field="tls.ja3" mono />
        <Fact name="JA3S" value={tls.ja3s} field="tls.ja3s" mono />
        <Fact name="JA4" value={tls.ja4} field="tls.ja4" mono />
        <Fact
          name={t("fact.decrypt_source")}
          value={record.decrypt_source}
          shown={t(`source.${record.decrypt_source ?? "keys"}`)}
          field="decrypt_source"
        />
        {tls.plaintext_bytes !== undefined && (
          <Fact name={t("fact.plaintext")} value={tls.plaintext_bytes} shown={bytes(tls.plaintext_bytes)} />
        )}
        {tls.lost_bytes !== undefined && (
          <Fact name={t("fact.lost")} value={tls.lost_bytes} shown={bytes(tls.lost_bytes)} />
        )}
      </Facts>
      <h2>{t("drawer.certificate")}</h2>
      {!certificate && <p className="muted">{t("drawer.no_certificate")}</p>}
      {certificate && (
        <Facts>
          <Fact name={t("fact.subject")} value={certificate.subject} field="tls.certificate.subject" />
          <Fact name={t("fact.issuer")} value={certificate.issuer} field="tls.certificate.issuer" />
          {certificate.names?.map((name) => (
            <Fact key={name} name={t("fact.names")} value={name} field="tls.certificate.names" />
          ))}
          <Fact
            name={t("fact.not_before")}
            value={certificate.not_before}
            shown={certificate.not_before ? moment(certificate.not_before) : ""}
          />
          <Fact
            name={t("fact.not_after")}
            value={certificate.not_after}
            shown={certificate.not_after ? moment(certificate.not_after) : ""}
          />
          <Fact name={t("fact.serial")} value={certificate.serial} field="tls.certificate.serial" mono />
          <Fact name={t("fact.sha256")} value={certificate.sha256} field="tls.certificate.sha256" mono />
        </Facts>
      )}
    </>
  );
}
