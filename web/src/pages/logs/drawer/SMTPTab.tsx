import { useTranslation } from "react-i18next";
import type { Record } from "../../../api/types";
import { useFormat } from "../../../components/format";
import { Text } from "../../../components/Text";
import { Body } from "./Body";
import { Fact, Facts } from "./Facts";
import { Headers } from "./Headers";

type SMTP = NonNullable<Record["smtp"]>;

/** A mail as its reader sees it, then how it was handed over. */
export function SMTPTab({ smtp }: { smtp: SMTP }) {
  const { t } = useTranslation();
  return (
    <>
      {smtp.message && <Mail mail={smtp.message} />}
      <h2>{t("drawer.transaction")}</h2>
      <Envelope smtp={smtp} />
      {smtp.commands && (
        <>
          <h2>{t("drawer.commands")}</h2>
          <pre className="body-text" tabIndex={0} aria-label={t("drawer.commands")}>
            <Text text={smtp.commands.join("\n")} lines />
          </pre>
        </>
      )}
    </>
  );
}

function Mail({ mail }: { mail: NonNullable<SMTP["message"]> }) {
  const { t } = useTranslation();
  return (
    <section className="half" aria-label={t("drawer.mail")}>
      <h2>{t("drawer.mail")}</h2>
      <Facts>
        <Fact name={t("fact.from")} value={mail.from} field="smtp.message.from" />
        <List name={t("fact.to")} values={mail.to} field="smtp.message.to" />
        <List name={t("fact.cc")} values={mail.cc} field="smtp.message.cc" />
        <Fact name={t("fact.reply_to")} value={mail.reply_to} field="smtp.message.reply_to" />
        <Fact name={t("fact.mail_subject")} value={mail.subject} field="smtp.message.subject" />
        <Fact name={t("fact.date")} value={mail.date} field="smtp.message.date" />
        <Fact name={t("fact.message_id")} value={mail.id} field="smtp.message.id" mono />
        <List name={t("fact.attachment")} values={mail.attachments} field="smtp.message.attachments" />
      </Facts>
      {mail.text && (
        <>
          <h3>{t("drawer.mail_text")}</h3>
          <Body content={mail.text} contentType="" name="text" />
        </>
      )}
      {mail.headers && (
        <>
          <h3>{t("drawer.headers")}</h3>
          <Headers title={t("drawer.headers")} headers={mail.headers} />
        </>
      )}
      <h3>{t("drawer.mail_source")}</h3>
      <Body content={mail} contentType="" name="message" extension="eml" />
    </section>
  );
}

function Envelope({ smtp }: { smtp: SMTP }) {
  const { t } = useTranslation();
  const { duration } = useFormat();
  return (
    <Facts>
      <Fact name={t("fact.mail_from")} value={smtp.mail_from} field="smtp.mail_from" />
      <List name={t("fact.rcpt_to")} values={smtp.rcpt_to} field="smtp.rcpt_to" />
      <List name={t("fact.refused")} values={smtp.refused} field="smtp.refused" />
      <Fact name={t("fact.parameters")} value={smtp.parameters?.join(" ")} />
      <Fact name={t("fact.reply_code")} value={smtp.code} field="smtp.code" />
      <Fact name={t("fact.reply")} value={smtp.reply} />
      <Fact name={t("fact.user")} value={smtp.user} field="smtp.user" />
      <Fact name={t("fact.mechanism")} value={smtp.auth_mechanism} field="smtp.auth_mechanism" />
      <Fact
        name={t("fact.login")}
        value={smtp.login}
        shown={t(`login.${smtp.login ?? "unanswered"}`)}
        field="smtp.login"
      />
      {smtp.starttls && <Fact name="STARTTLS" value={t("fact.yes")} />}
      <Fact name={t("fact.helo")} value={smtp.helo} field="smtp.helo" />
      <Fact name={t("fact.banner")} value={smtp.banner} field="smtp.banner" />
      <Fact name={t("fact.extensions")} value={smtp.extensions?.join(", ")} />
      <Fact
        name={t("fact.seen")}
        value={smtp.state}
        shown={t(`state.${smtp.state ?? "complete"}`)}
        field="smtp.state"
      />
      {smtp.duration_us !== undefined && (
        <Fact
          name={t("fact.duration")}
          value={smtp.duration_us}
          shown={duration(smtp.duration_us)}
          field="smtp.duration_us"
        />
      )}
    </Facts>
  );
}

function List({ name, values, field }: { name: string; values: string[] | null | undefined; field: string }) {
  return values?.map((value, i) => <Fact key={i} name={name} value={value} field={field} />);
}
