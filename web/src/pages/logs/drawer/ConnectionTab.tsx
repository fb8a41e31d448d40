import { useTranslation } from "react-i18next";
import type { Record } from "../../../api/types";
import { useFormat } from "../../../components/format";
import { endpoint } from "../../../format/record";
import { Fact, Facts } from "./Facts";

/** Who talked to whom, by which program, and how much. */
export function ConnectionTab({ record }: { record: Record }) {
  const { t } = useTranslation();
  const { process } = record;
  return (
    <>
      <Facts>
        <Fact
          name={t("fact.client")}
          value={record.client?.ip}
          shown={endpoint(record.client)}
          field="client.ip"
          mono
        />
        <Fact
          name={t("fact.server")}
          value={record.server?.ip}
          shown={endpoint(record.server)}
          field="server.ip"
          mono
        />
        <Fact name={t("fact.server_port")} value={record.server?.port} field="server.port" />
        <Fact name={t("fact.proto")} value={record.proto} field="proto" />
        <Fact name={t("fact.app_proto")} value={record.app_proto} field="app_proto" />
        <Fact name={t("fact.community_id")} value={record.community_id} field="community_id" mono />
        <Fact name={t("fact.conn_id")} value={record.conn_id} field="conn_id" mono />
        <Fact name={t("fact.interface")} value={record.interface} field="interface" />
        <Fact
          name={t("fact.vantage")}
          value={record.vantage}
          shown={t(`vantage.${record.vantage ?? "sensor"}`)}
          field="vantage"
        />
        <Fact name={t("fact.agent")} value={record.agent} field="agent" />
        <Fact name={t("fact.asset")} value={record.asset} field="asset" />
        <Fact name={t("fact.import")} value={record.import} field="import" mono />
      </Facts>
      {record.policy && <Decision policy={record.policy} />}
      {record.conn && <Counters conn={record.conn} />}
      {process && <Program process={process} container={record.container} />}
    </>
  );
}

/** What the gateway did with the connection, and which of its rules said so. */
function Decision({ policy }: { policy: NonNullable<Record["policy"]> }) {
  const { t } = useTranslation();
  return (
    <>
      <h2>{t("drawer.decision")}</h2>
      <Facts>
        <Fact
          name={t("fact.policy_action")}
          value={policy.action}
          shown={policy.action && t(`policy_action.${policy.action}`)}
          field="policy.action"
        />
        <Fact name={t("fact.policy")} value={policy.id} field="policy.id" mono />
        <Fact name={t("fact.scope")} value={policy.scope} field="policy.scope" mono />
        <Fact name={t("fact.rule")} value={policy.rule} field="policy.rule" mono />
        <Fact name={t("fact.identity")} value={policy.identity} field="policy.identity" mono />
      </Facts>
    </>
  );
}

function Program({ process, container }: { process: NonNullable<Record["process"]>; container: Record["container"] }) {
  const { t } = useTranslation();
  const { exact } = useFormat();
  return (
    <>
      <h2>{t("drawer.process")}</h2>
      <Facts>
        <Fact name={t("fact.process")} value={process.name} field="process.name" />
        <Fact name={t("fact.pid")} value={process.pid} field="process.pid" />
        <Fact name={t("fact.exe")} value={process.exe} field="process.exe" mono />
        <Fact name={t("fact.command_line")} value={process.command_line} field="process.command_line" mono />
        <Fact name={t("fact.uid")} value={process.uid} field="process.uid" />
        {process.start && (
          <Fact name={t("fact.start")} value={process.start} shown={exact(process.start)} field="process.start" />
        )}
        <Fact name={t("fact.container")} value={container?.id} field="container.id" mono />
        <Fact name={t("fact.image")} value={container?.image} field="container.image" mono />
        <Fact name={t("fact.pod")} value={container?.pod} field="container.pod" />
        <Fact name={t("fact.namespace")} value={container?.namespace} field="container.namespace" />
      </Facts>
    </>
  );
}

function Counters({ conn }: { conn: NonNullable<Record["conn"]> }) {
  const { t } = useTranslation();
  const { bytes, count, duration } = useFormat();
  const counted = conn.packets_to_server || conn.packets_to_client; // programs and proxies see no packets
  const both = (n = 0, size = 0) =>
    counted ? t("fact.packets_bytes", { packets: count(n), bytes: bytes(size) }) : bytes(size);
  return (
    <>
      <h2>{t("drawer.counters")}</h2>
      <Facts>
        <Fact
          name={t("fact.duration")}
          value={conn.duration_us}
          shown={duration(conn.duration_us)}
          field="conn.duration_us"
        />
        <Fact
          name={t("direction.to_server")}
          value={conn.bytes_to_server ?? 0}
          shown={both(conn.packets_to_server, conn.bytes_to_server)}
        />
        <Fact
          name={t("direction.to_client")}
          value={conn.bytes_to_client ?? 0}
          shown={both(conn.packets_to_client, conn.bytes_to_client)}
        />
        <Fact name={t("fact.asked")} value={conn.asked} field="conn.asked" mono />
        <Fact name={t("fact.plaintext")} value={conn.plaintext_bytes} shown={bytes(conn.plaintext_bytes ?? 0)} />
        <Fact name={t("fact.gaps")} value={conn.gap_bytes} shown={bytes(conn.gap_bytes ?? 0)} />
        <Fact name={t("fact.protocols")} value={conn.protocols?.join(" › ")} />
        <Fact name={t("fact.transactions")} value={conn.transactions} shown={count(conn.transactions ?? 0)} />
      </Facts>
    </>
  );
}
