import { Button, Spin } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useAuthorities } from "../../../api/gateway";
import { DocLink } from "../../../components/DocLink";
import { ErrorBox } from "../../../components/ErrorBox";
import { useMay } from "../../../components/permissions";
import { AuthorityCard } from "./AuthorityCard";
import { ImportAuthority } from "./ImportAuthority";
import { Reminders } from "./Reminders";
import { TrialButton } from "./TrialButton";

/** The authorities that sign for the gateway: how long they last, and how clients come to trust them. */
export function Certificates() {
  const { t } = useTranslation();
  const may = useMay();
  const authorities = useAuthorities();
  const [importing, setImporting] = useState(false);
  const list = authorities.data?.authorities ?? [];
  return (
    <>
      <Reminders />
      <div className="card-head">
        <p className="muted parts-note">
          {t("gateway.certificates_note")} <DocLink page="gateway" anchor="the-authority" />
        </p>
        {may("administer") && (
          <div className="buttons card-buttons">
            {authorities.data && <TrialButton authorities={list} />}
            <Button onClick={() => setImporting(true)}>{t("gateway.import_authority")}</Button>
          </div>
        )}
      </div>
      {authorities.error && <ErrorBox error={authorities.error} retry={authorities.refetch} />}
      {authorities.isPending && <Spin />}
      {authorities.data && list.length === 0 && (
        <div className="empty-page">
          <h2>{t("gateway.no_authority")}</h2>
          <p className="muted">{t("gateway.no_authority_note")}</p>
        </div>
      )}
      {list.map((authority) => (
        <AuthorityCard key={authority.name} authority={authority} />
      ))}
      {importing && <ImportAuthority close={() => setImporting(false)} />}
    </>
  );
}
