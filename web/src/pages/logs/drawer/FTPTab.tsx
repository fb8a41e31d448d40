import { useTranslation } from "react-i18next";
import type { Record } from "../../../api/types";
import { useFormat } from "../../../components/format";
import { Text } from "../../../components/Text";
import { Body } from "./Body";
import { Fact, Facts } from "./Facts";

/** A command and what the server said to it. */
export function FTPTab({ ftp }: { ftp: NonNullable<Record["ftp"]> }) {
  const { t } = useTranslation();
  const { bytes, duration } = useFormat();
  return (
    <>
      <Facts>
        <Fact name={t("fact.command")} value={ftp.command} field="ftp.command" />
        <Fact name={t("fact.argument")} value={ftp.argument} field="ftp.argument" />
        <Fact name={t("fact.path")} value={ftp.path} field="ftp.path" />
        <Fact name={t("fact.user")} value={ftp.user} field="ftp.user" />
        <Fact
          name={t("fact.login")}
          value={ftp.login}
          shown={t(`login.${ftp.login ?? "accepted"}`)}
          field="ftp.login"
        />
        <Fact name={t("fact.reply_code")} value={ftp.code} field="ftp.code" />
        <Fact name={t("fact.size")} value={ftp.size} shown={bytes(ftp.size ?? 0)} field="ftp.size" />
        <Fact
          name={t("fact.ftp_mode")}
          value={ftp.mode}
          shown={t(`ftp_mode.${ftp.mode ?? "passive"}`)}
          field="ftp.mode"
        />
        <Fact name={t("fact.data_address")} value={ftp.address} field="ftp.address" mono />
        <Fact name={t("fact.data_port")} value={ftp.port} field="ftp.port" />
        {ftp.duration_us !== undefined && (
          <Fact
            name={t("fact.duration")}
            value={ftp.duration_us}
            shown={duration(ftp.duration_us)}
            field="ftp.duration_us"
          />
        )}
      </Facts>
      {ftp.reply && (
        <>
          <h2>{t("drawer.reply")}</h2>
          <pre className="mono break">
            {ftp.reply.map((line, i) => (
              <div key={i}>
                <Text text={line} />
              </div>
            ))}
          </pre>
        </>
      )}
    </>
  );
}

/** A transfer, with what was transferred. */
export function FTPDataTab({ transfer }: { transfer: NonNullable<Record["ftp_data"]> }) {
  const { t } = useTranslation();
  const { duration } = useFormat();
  return (
    <>
      <Facts>
        <Fact name={t("fact.command")} value={transfer.command} field="ftp_data.command" />
        <Fact name={t("fact.file_name")} value={transfer.name} field="ftp_data.name" />
        <Fact name={t("fact.path")} value={transfer.path} field="ftp_data.path" />
        <Fact name={t("fact.user")} value={transfer.user} field="ftp_data.user" />
        <Fact
          name={t("fact.direction")}
          value={transfer.direction}
          shown={t(`direction.${transfer.direction ?? "to_client"}`)}
          field="ftp_data.direction"
        />
        <Fact
          name={t("fact.ftp_mode")}
          value={transfer.mode}
          shown={t(`ftp_mode.${transfer.mode ?? "passive"}`)}
          field="ftp_data.mode"
        />
        <Fact name={t("fact.offset")} value={transfer.offset} field="ftp_data.offset" />
        {transfer.ascii && <Fact name={t("fact.line_ends")} value={t("fact.line_ends_network")} />}
        <Fact name={t("fact.control")} value={transfer.control_id} field="conn_id" mono />
        {transfer.duration_us !== undefined && (
          <Fact
            name={t("fact.duration")}
            value={transfer.duration_us}
            shown={duration(transfer.duration_us)}
            field="ftp_data.duration_us"
          />
        )}
      </Facts>
      <Body content={transfer} contentType="" name={transfer.name ?? "transfer"} />
    </>
  );
}
