import { Spin } from "antd";
import { useTranslation } from "react-i18next";
import { Link, Navigate, NavLink, useParams } from "react-router";
import { certificateAddress, useAuthorities } from "../../../api/gateway";
import type { Authority } from "../../../api/types";
import { Command } from "../../../components/Command";
import { CopyButton } from "../../../components/CopyButton";
import { DocLink } from "../../../components/DocLink";
import { ErrorBox } from "../../../components/ErrorBox";
import { Text } from "../../../components/Text";
import { fingerprintOf } from "./fingerprint";
import { fileOf, platforms, type Platform } from "./platforms";

const groups = ["system", "browser", "program", "container"] as const;

/** How programs come to trust an authority: a page for each platform. */
export function Install() {
  const { t } = useTranslation();
  const { name = "", platform } = useParams();
  const authorities = useAuthorities();
  if (authorities.error) return <ErrorBox error={authorities.error} retry={authorities.refetch} />;
  if (!authorities.data) return <Spin className="page-spin" size="large" />;
  const authority = authorities.data.authorities.find((a) => a.name === name);
  if (!authority) return <p>{t("error.status_404")}</p>;
  const all = platforms(fileOf(name, "crt"), fileOf(name, "jks"));
  const shown = all.find((p) => p.id === platform);
  const base = `/gateway/certificates/${encodeURIComponent(name)}`;
  if (!shown) return <Navigate to={`${base}/${all[0]?.id ?? ""}`} replace />;
  return (
    <div className="help install">
      <nav aria-label={t("gateway.platforms")}>
        {groups.map((group) => (
          <div key={group}>
            <h3>{t(`gateway.group_${group}`)}</h3>
            <ul>
              {all
                .filter((p) => p.group === group)
                .map((p) => (
                  <li key={p.id}>
                    <NavLink to={`${base}/${p.id}`}>{p.title}</NavLink>
                  </li>
                ))}
            </ul>
          </div>
        ))}
      </nav>
      <Page authority={authority} platform={shown} />
    </div>
  );
}

function Page({ authority, platform }: { authority: Authority; platform: Platform }) {
  const { t } = useTranslation();
  const file = fileOf(authority.name, "crt");
  const fingerprint = fingerprintOf(authority.fingerprint_sha256);
  return (
    <article className="card install-page" aria-labelledby="install-title">
      <h2 id="install-title">{t("gateway.install_title", { name: authority.name, platform: platform.title })}</h2>
      <p className="muted">{t("gateway.install_whole")}</p>
      <Command text={`sudo vitrine trust install --ca ${file}`} />
      <ol className="install-steps">
        <li>
          <a href={certificateAddress(authority.name, "crt")} download>
            {t("gateway.install_download", { file })}
          </a>
          {platform.id === "java" && (
            <>
              {" · "}
              <a href={certificateAddress(authority.name, "jks")} download>
                {t("gateway.format_jks")}
              </a>
            </>
          )}
        </li>
        <li>
          {t("gateway.install_compare")}
          <p className="break">
            <code>
              <Text text={fingerprint} />
            </code>
            <CopyButton text={fingerprint} what={t("gateway.fingerprint")} />
          </p>
          <Command text={`openssl x509 -in ${file} -noout -fingerprint -sha256`} />
        </li>
        {platform.steps.map((step) => (
          <li key={step.say + (step.command ?? "")}>
            {t(`gateway.install.${step.say}`)}
            {step.command && <Command text={step.command} />}
          </li>
        ))}
      </ol>
      <p>
        <DocLink page="trust" /> · <Link to="/gateway/distrust">{t("gateway.part_distrust")}</Link>
      </p>
    </article>
  );
}
