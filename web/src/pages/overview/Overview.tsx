import { Spin } from "antd";
import { useTranslation } from "react-i18next";
import { useOverview, useSystem } from "../../api/queries";
import { ErrorBox } from "../../components/ErrorBox";
import { useRange } from "../../components/range";
import { useTitle } from "../../components/title";
import { Alarms } from "../system/Alarms";
import { Coverage } from "./Coverage";
import { NothingInRange, NothingSeen } from "./Empty";
import { Gateway } from "./Gateway";
import { Losses } from "./Losses";
import { Tiles } from "./Tiles";
import { TopHosts } from "./TopHosts";
import { Trend } from "./Trend";

/** How much was seen, and how much of it could be read. */
export default function Overview() {
  const { t } = useTranslation();
  useTitle(t("nav.overview"));
  const [range] = useRange();
  const overview = useOverview(range);
  const system = useSystem();
  const data = overview.data;
  const empty = data && data.connections === 0 && data.kinds.length === 0;
  return (
    <div className="page">
      <h1 className="visually-hidden">{t("nav.overview")}</h1>
      {overview.error && <ErrorBox error={overview.error} retry={overview.refetch} />}
      <Alarms alarms={system.data?.alarms ?? []} />
      {overview.isPending && <Spin className="page-spin" size="large" />}
      {empty && (system.data?.store.events === 0 ? <NothingSeen /> : <NothingInRange />)}
      {data && !empty && (
        <>
          <Tiles overview={data} />
          <Losses losses={data.losses} />
          <div className="overview-grid">
            <Coverage coverage={data.decryption} range={range} />
            <Trend trend={data.trend} />
            <TopHosts hosts={data.top_hosts} range={range} />
          </div>
          <Gateway />
        </>
      )}
    </div>
  );
}
