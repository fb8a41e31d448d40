import { CheckCircleFilled, CloseCircleFilled, MinusCircleOutlined } from "@ant-design/icons";
import { Spin } from "antd";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useSystem } from "../../api/queries";
import type { System as SystemState } from "../../api/types";
import { ErrorBox } from "../../components/ErrorBox";
import { useFormat } from "../../components/format";
import { useOff } from "../../components/reason";
import { Text } from "../../components/Text";
import { useTitle } from "../../components/title";
import { Alarms } from "./Alarms";
import { Counters } from "./Counters";

/** How Vitrine itself is doing. */
export default function System() {
  const { t } = useTranslation();
  useTitle(t("nav.system"));
  const system = useSystem();
  return (
    <div className="page">
      <h1>{t("nav.system")}</h1>
      {system.error && <ErrorBox error={system.error} retry={system.refetch} />}
      {system.isPending && <Spin className="page-spin" size="large" />}
      {system.data && (
        <>
          <Alarms alarms={system.data.alarms} />
          {system.data.alarms.length === 0 && (
            <p className="state state-good">
              <CheckCircleFilled aria-hidden /> {t("system.no_alarms")}
            </p>
          )}
          <div className="system-grid">
            <Roles system={system.data} />
            <Store system={system.data} />
          </div>
          <Counters counters={system.data.counters} />
        </>
      )}
    </div>
  );
}

function Roles({ system }: { system: SystemState }) {
  const { t, i18n } = useTranslation();
  const off = useOff();
  return (
    <section className="card" aria-labelledby="roles-title">
      <h2 id="roles-title">{t("system.roles")}</h2>
      <p className="muted">{t("system.roles_note")}</p>
      <ul className="roles">
        {system.roles.map((r) => (
          <li key={r.name}>
            <strong>{i18n.exists(`system.role_${r.name}`) ? t(`system.role_${r.name}`) : r.name}</strong>
            <span className={r.on ? "state state-good" : "state"}>
              {r.on ? <CheckCircleFilled aria-hidden /> : <MinusCircleOutlined aria-hidden />}{" "}
              {r.on ? t("system.on") : t("system.off")}
            </span>
            <span className="muted">
              <Text text={off(r.off, r.why)} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Store({ system }: { system: SystemState }) {
  const { t } = useTranslation();
  const { count, bytes, moment } = useFormat();
  const { store } = system;
  return (
    <section className="card" aria-labelledby="store-title">
      <h2 id="store-title">{t("system.server")}</h2>
      <dl className="facts">
        <Fact name={t("system.version")}>{system.version}</Fact>
        <Fact name={t("system.started")}>{moment(system.started)}</Fact>
        <Fact name={t("system.store")}>
          <span className={store.ok ? "state state-good" : "state state-bad"}>
            {store.ok ? <CheckCircleFilled aria-hidden /> : <CloseCircleFilled aria-hidden />}{" "}
            {store.ok ? t("system.store_ok") : t("system.store_bad")}
          </span>{" "}
          <Text text={store.error ?? ""} />
        </Fact>
        <Fact name={t("system.events")}>{count(store.events)}</Fact>
        <Fact name={t("system.disk")}>{bytes(store.bytes)}</Fact>
        {store.oldest && <Fact name={t("system.oldest")}>{moment(store.oldest)}</Fact>}
      </dl>
    </section>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}
