import { useTranslation } from "react-i18next";
import type { Record } from "../../../api/types";
import { useFormat } from "../../../components/format";
import { Body } from "./Body";
import { CoverageFacts } from "./CoverageFacts";
import { Fact, Facts } from "./Facts";
import { FindingFacts } from "./FindingFacts";
import { FTPDataTab, FTPTab } from "./FTPTab";
import { HTTPTab } from "./HTTPTab";
import { SMTPTab } from "./SMTPTab";

/** Says whether an event carries something of what was said. */
export function hasContent(r: Record): boolean {
  return [
    r.http,
    r.dns,
    r.websocket,
    r.smtp,
    r.ftp,
    r.ftp_data,
    r.file,
    r.finding,
    r.anomaly,
    r.unknown,
    r.coverage,
  ].some((part) => part !== undefined);
}

/** What was said, as far as it could be read. */
export function ContentTab({ record }: { record: Record }) {
  if (record.http) return <HTTPTab http={record.http} />;
  if (record.dns) return <DNS dns={record.dns} />;
  if (record.websocket) return <WebSocket message={record.websocket} />;
  if (record.smtp) return <SMTPTab smtp={record.smtp} />;
  if (record.ftp) return <FTPTab ftp={record.ftp} />;
  if (record.ftp_data) return <FTPDataTab transfer={record.ftp_data} />;
  if (record.file) return <File file={record.file} />;
  if (record.finding) return <FindingFacts finding={record.finding} />;
  if (record.coverage) return <CoverageFacts coverage={record.coverage} />;
  if (record.unknown) return <Unknown stream={record.unknown} />;
  return <Anomaly code={record.anomaly?.code} />;
}

function DNS({ dns }: { dns: NonNullable<Record["dns"]> }) {
  const { t } = useTranslation();
  const { duration } = useFormat();
  return (
    <Facts>
      <Fact name={t("fact.dns_name")} value={dns.name} field="dns.name" />
      <Fact name={t("fact.dns_type")} value={dns.type} field="dns.type" />
      <Fact name={t("fact.dns_code")} value={dns.code} field="dns.code" />
      {dns.answers?.map((a, i) => (
        <Fact key={i} name={t("fact.dns_answer")} value={a} mono />
      ))}
      {dns.addresses?.map((a, i) => (
        <Fact key={i} name={t("fact.dns_address")} value={a} field="dns.addresses" mono />
      ))}
      {dns.authority?.map((a, i) => (
        <Fact key={i} name={t("fact.dns_authority")} value={a} mono />
      ))}
      <Fact name={t("fact.dns_flags")} value={dns.flags?.join(" ")} />
      {dns.duration_us !== undefined && (
        <Fact
          name={t("fact.duration")}
          value={dns.duration_us}
          shown={duration(dns.duration_us)}
          field="dns.duration_us"
        />
      )}
    </Facts>
  );
}

function WebSocket({ message }: { message: NonNullable<Record["websocket"]> }) {
  const { t } = useTranslation();
  return (
    <>
      <Facts>
        <Fact
          name={t("fact.direction")}
          value={message.direction}
          shown={t(`direction.${message.direction ?? "to_server"}`)}
          field="websocket.direction"
        />
        <Fact name={t("fact.opcode")} value={message.opcode} field="websocket.opcode" />
        <Fact name={t("fact.close_code")} value={message.close_code} field="websocket.close_code" />
        <Fact name={t("fact.host")} value={message.host} field="websocket.host" />
        <Fact name={t("fact.url")} value={message.url} field="websocket.url" />
      </Facts>
      <Body content={message} contentType="" name="message" />
    </>
  );
}

function File({ file }: { file: NonNullable<Record["file"]> }) {
  const { t } = useTranslation();
  const { bytes } = useFormat();
  return (
    <Facts>
      <Fact name={t("fact.file_name")} value={file.name} field="file.name" />
      <Fact name={t("fact.media_type")} value={file.type} field="file.type" />
      <Fact name={t("fact.size")} value={file.size} shown={bytes(file.size)} field="file.size" />
      <Fact name={t("fact.sha256")} value={file.sha256} field="file.sha256" mono />
      <Fact
        name={t("fact.seen")}
        value={file.state}
        shown={t(`state.${file.state ?? "complete"}`)}
        field="file.state"
      />
      <Fact
        name={t("fact.direction")}
        value={file.direction}
        shown={t(`direction.${file.direction ?? "to_client"}`)}
        field="file.direction"
      />
      <Fact name={t("fact.host")} value={file.host} field="file.host" />
      <Fact name={t("fact.url")} value={file.url} field="file.url" />
    </Facts>
  );
}

function Unknown({ stream }: { stream: NonNullable<Record["unknown"]> }) {
  const { t } = useTranslation();
  const part = (body: string | undefined, size: number | undefined) => ({ ...(body && { body }), size: size ?? 0 });
  return (
    <>
      <h2>{t("direction.to_server")}</h2>
      <Body content={part(stream.to_server, stream.bytes_to_server)} contentType="" name="to-server" />
      <h2>{t("direction.to_client")}</h2>
      <Body content={part(stream.to_client, stream.bytes_to_client)} contentType="" name="to-client" />
    </>
  );
}

function Anomaly({ code }: { code: string | undefined }) {
  const { t } = useTranslation();
  return (
    <Facts>
      <Fact name={t("fact.anomaly")} value={code} field="anomaly.code" mono />
    </Facts>
  );
}
