import { ImportOutlined } from "@ant-design/icons";
import { Button } from "antd";
import { useTranslation } from "react-i18next";
import { Link, useNavigate } from "react-router";
import { useProbe } from "../../api/probe";
import { CopyButton } from "../../components/CopyButton";
import { useRange } from "../../components/range";
import { allTime } from "../../format/range";

const start = "sudo make run";
const download = "curl -sS -o /dev/null https://example.com/";
const keyLog = "sudo SSLKEYLOGFILE=$PWD/data/keylog/curl.log ";

/** Shown until the first event: how to get one. */
export function NothingSeen() {
  const { t } = useTranslation();
  const probe = useProbe();
  const steps =
    probe.data?.state === "running"
      ? [{ what: t("empty.live_step_probe"), command: download }]
      : [
          { what: t("empty.live_step_1"), command: start },
          { what: t("empty.live_step_2"), command: keyLog + download },
        ];
  return (
    <div className="empty-page">
      <h2>{t("empty.title")}</h2>
      <p className="muted">{t("empty.intro")}</p>
      <div className="empty-ways">
        <section className="card">
          <h3>{t("empty.import_title")}</h3>
          <p>{t("empty.import_text")}</p>
          <Link to="/import" className="button-link">
            <ImportOutlined aria-hidden /> {t("empty.import_action")}
          </Link>
        </section>
        <section className="card">
          <h3>{t("empty.live_title")}</h3>
          <p>{t("empty.live_text")}</p>
          <ol>
            {steps.map(({ what, command }) => (
              <li key={command}>
                {what}
                <div className="command">
                  <code>{command}</code>
                  <CopyButton text={command} what={t("empty.command")} />
                </div>
              </li>
            ))}
          </ol>
        </section>
      </div>
    </div>
  );
}

/** Shown where there are events, but none in the range. */
export function NothingInRange() {
  const { t } = useTranslation();
  const [, setRange] = useRange();
  const navigate = useNavigate();
  return (
    <div className="empty-page">
      <h2>{t("empty.range_title")}</h2>
      <p className="muted">{t("empty.range_text")}</p>
      <div className="buttons">
        <Button type="primary" onClick={() => setRange({ since: allTime, until: "" })}>
          {t("empty.range_all")}
        </Button>
        <Button onClick={() => void navigate("/import")}>{t("empty.import_action")}</Button>
      </div>
    </div>
  );
}
