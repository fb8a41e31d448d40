import { useTranslation } from "react-i18next";
import type { HTTP, Message } from "../../../api/types";
import { useFormat } from "../../../components/format";
import { Text } from "../../../components/Text";
import { headerOf } from "../../../format/header";
import { Body } from "./Body";
import { Fact, Facts } from "./Facts";
import { Headers } from "./Headers";

/** The restored request and its response. */
export function HTTPTab({ http }: { http: HTTP }) {
  const { t } = useTranslation();
  const { duration } = useFormat();
  return (
    <>
      <Half
        title={t("drawer.request")}
        line={[http.method, http.url, http.version].filter(Boolean).join(" ")}
        message={http.request}
        name="request"
      />
      <Half
        title={t("drawer.response")}
        line={[http.version, http.status, http.reason].filter(Boolean).join(" ")}
        message={http.response}
        name="response"
      />
      <h2>{t("drawer.transaction")}</h2>
      <Facts>
        <Fact name={t("fact.host")} value={http.host} field="http.host" />
        <Fact name={t("fact.method")} value={http.method} field="http.method" />
        <Fact name={t("fact.url")} value={http.url} field="http.url" />
        <Fact name={t("fact.status")} value={http.status} field="http.status" />
        <Fact name={t("fact.user_agent")} value={http.user_agent} field="http.user_agent" />
        <Fact name={t("fact.referer")} value={http.referer} field="http.referer" />
        <Fact
          name={t("fact.seen")}
          value={http.state}
          shown={t(`state.${http.state ?? "complete"}`)}
          field="http.state"
        />
        {http.duration_us !== undefined && (
          <Fact
            name={t("fact.duration")}
            value={http.duration_us}
            shown={duration(http.duration_us)}
            field="http.duration_us"
          />
        )}
        <Fact name={t("fact.stream")} value={http.stream} field="http.stream" />
      </Facts>
    </>
  );
}

interface HalfProps {
  title: string;
  line: string;
  message: Message | undefined;
  name: string;
}

function Half({ title, line, message, name }: HalfProps) {
  const { t } = useTranslation();
  if (!message) {
    return (
      <section className="half">
        <h2>{title}</h2>
        <p className="muted">{t("drawer.half_missing")}</p>
      </section>
    );
  }
  return (
    <section className="half" aria-label={title}>
      <h2>{title}</h2>
      <p className="start-line mono break">
        <Text text={line} />
      </p>
      <Headers title={t("drawer.headers")} headers={message.headers ?? []} />
      <Headers title={t("drawer.trailers")} headers={message.trailers ?? []} />
      <Body content={message} contentType={headerOf(message.headers ?? [], "content-type")} name={name} />
    </section>
  );
}
