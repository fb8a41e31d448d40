import { DeleteOutlined, DownloadOutlined } from "@ant-design/icons";
import { App, Button } from "antd";
import { useId } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { certificateAddress, formats, useDeleteAuthority } from "../../../api/gateway";
import type { Authority } from "../../../api/types";
import { useConfirm } from "../../../components/confirm";
import { CopyButton } from "../../../components/CopyButton";
import { useFormat } from "../../../components/format";
import { useMay } from "../../../components/permissions";
import { Text } from "../../../components/Text";
import { fingerprintOf } from "./fingerprint";
import { Validity } from "./Validity";

/** An authority: what it is, how long it lasts, and its certificate to download. Its key never leaves the server. */
export function AuthorityCard({ authority: a }: { authority: Authority }) {
  const { t } = useTranslation();
  const { moment } = useFormat();
  const may = useMay();
  const title = useId();
  return (
    <section className="card authority" aria-labelledby={title}>
      <div className="card-head">
        <h2 id={title}>
          <Text text={a.name} />
        </h2>
        {a.trial && <span className="kind">{t("gateway.trial")}</span>}
        {may("administer") && <Remove authority={a} />}
      </div>
      <dl className="facts">
        <dt>{t("gateway.subject")}</dt>
        <dd className="break">
          <Text text={a.subject} />
        </dd>
        <dt>{t("gateway.issuer")}</dt>
        <dd className="break">
          <Text text={a.issuer} />
        </dd>
        <dt>{t("gateway.validity")}</dt>
        <dd>
          {t("gateway.valid_from", { time: moment(a.not_before) })} <Validity authority={a} />
        </dd>
        <dt>{t("gateway.key")}</dt>
        <dd>{t("gateway.key_and_chain", { key: a.key_type, n: a.chain_length })}</dd>
        <dt>{t("gateway.fingerprint")}</dt>
        <dd className="break">
          <code>{fingerprintOf(a.fingerprint_sha256)}</code>
          <CopyButton text={fingerprintOf(a.fingerprint_sha256)} what={t("gateway.fingerprint")} />
        </dd>
        <dt>{t("gateway.used_by")}</dt>
        <dd>
          {a.used_by.length === 0 && <span className="muted">{t("gateway.no_policy")}</span>}
          {a.used_by.map((id, i) => (
            <span key={id}>
              {i > 0 && ", "}
              <Link to={`/gateway/policies/${encodeURIComponent(id)}`}>{id}</Link>
            </span>
          ))}
        </dd>
      </dl>
      <div className="authority-links">
        {formats.map((format) => (
          <a key={format} href={certificateAddress(a.name, format)} download>
            <DownloadOutlined aria-hidden /> {t(`gateway.format_${format}`)}
          </a>
        ))}
        <Link className="button-link" to={`/gateway/certificates/${encodeURIComponent(a.name)}`}>
          {t("gateway.install_link")}
        </Link>
      </div>
    </section>
  );
}

function Remove({ authority }: { authority: Authority }) {
  const { t } = useTranslation();
  const { modal } = App.useApp();
  const confirm = useConfirm();
  const remove = useDeleteAuthority();
  const { name, used_by } = authority;
  const ask = () =>
    used_by.length === 0
      ? confirm(
          {
            title: t("gateway.delete_authority_title", { name }),
            content: t("gateway.delete_authority_note"),
            ok: t("gateway.delete"),
            danger: true,
          },
          () => remove.mutateAsync(name),
        )
      : void modal.info({
          title: t("gateway.delete_refused", { name }),
          content: t("gateway.authority_used", { policies: used_by.join(", ") }),
          okText: t("action.close"),
        });
  return (
    <Button
      type="text"
      size="small"
      className="card-buttons"
      icon={<DeleteOutlined aria-hidden />}
      aria-label={t("gateway.delete_what", { name })}
      title={t("gateway.delete_what", { name })}
      onClick={ask}
    />
  );
}
