import {
  CheckCircleFilled,
  ClockCircleOutlined,
  CloseCircleFilled,
  LoadingOutlined,
  StopOutlined,
} from "@ant-design/icons";
import { Button, Progress, Spin } from "antd";
import type { ComponentType } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { useCancelImport } from "../../api/queries";
import type { Import } from "../../api/types";
import { useFormat } from "../../components/format";
import { logsAddress } from "../../components/range";
import { Clipped, Text } from "../../components/Text";
import { allTime } from "../../format/range";

/** All imports, the newest first. */
export function ImportList({ imports, loading }: { imports: Import[]; loading: boolean }) {
  const { t } = useTranslation();
  if (loading) return <Spin />;
  if (imports.length === 0) return <p className="muted">{t("import.none")}</p>;
  return (
    <ul className="imports">
      {imports.map((i) => (
        <ImportItem key={i.id} item={i} />
      ))}
    </ul>
  );
}

const icons: { [S in Import["state"]]: ComponentType } = {
  queued: ClockCircleOutlined,
  running: LoadingOutlined,
  done: CheckCircleFilled,
  failed: CloseCircleFilled,
  cancelled: StopOutlined,
};

function ImportItem({ item }: { item: Import }) {
  const { t } = useTranslation();
  const { moment, bytes, percent } = useFormat();
  const cancel = useCancelImport();
  const Icon = icons[item.state];
  const active = item.state === "running" || item.state === "queued";
  return (
    <li className="card import-item">
      <div className="card-head">
        <span className={`state ${item.state === "done" ? "state-good" : item.state === "failed" ? "state-bad" : ""}`}>
          <Icon aria-hidden /> {t(`import.state_${item.state}`)}
        </span>
        <strong className="import-name">
          <Clipped text={item.name} />
        </strong>
        <span className="muted">
          {bytes(item.bytes_total)} · {moment(item.started)}
        </span>
        {active && (
          <Button size="small" loading={cancel.isPending} onClick={() => cancel.mutate(item.id)}>
            {t("action.cancel")}
          </Button>
        )}
      </div>
      {active && (
        <Progress
          percent={item.bytes_total > 0 ? (100 * item.bytes_done) / item.bytes_total : 0}
          format={() => percent(item.bytes_done, item.bytes_total) ?? ""}
          aria-label={t("import.reading")}
        />
      )}
      {item.error && (
        <p className="import-error">
          <Text text={item.error} />
        </p>
      )}
      <Results item={item} />
    </li>
  );
}

function Results({ item }: { item: Import }) {
  const { t } = useTranslation();
  const { count } = useFormat();
  return (
    <p>
      {t("import.result", {
        connections: count(item.connections),
        decrypted: count(item.decrypted),
        events: count(item.events),
        packets: count(item.packets),
      })}{" "}
      {item.events > 0 && (
        <Link to={logsAddress(`import:${item.id}`, { since: allTime, until: "" })}>{t("import.show")}</Link>
      )}
    </p>
  );
}
