import { LoadingOutlined, PauseCircleOutlined, WarningOutlined, WifiOutlined } from "@ant-design/icons";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useLive, type Live } from "../../api/live";
import { useFormat } from "../../components/format";
import { Grid } from "./Grid";

interface Props {
  q: string;
  columns: string[];
  selected: string;
  select: (id: string) => void;
}

/** New events as they come. It waits while the pointer is over the table, it is scrolled, or an event is open. */
export function LiveTable({ q, columns, selected, select }: Props) {
  const { t } = useTranslation();
  const [over, setOver] = useState(false);
  const [away, setAway] = useState(false);
  const paused = over || away || selected !== "";
  const live = useLive(q, true, paused);
  return (
    <>
      <LiveStatus live={live} paused={paused} />
      <div className="live-table" onPointerEnter={() => setOver(true)} onPointerLeave={() => setOver(false)}>
        {live.events.length === 0 ? (
          <p className="empty-page muted">{t("logs.live_waiting")}</p>
        ) : (
          <Grid
            records={live.events}
            columns={columns}
            selected={selected}
            select={select}
            onAway={setAway}
            footer={null}
          />
        )}
      </div>
    </>
  );
}

function LiveStatus({ live, paused }: { live: Live; paused: boolean }) {
  const { t } = useTranslation();
  const { count } = useFormat();
  return (
    <p className="result-line" role="status">
      {live.state !== "on" ? (
        <span className="state">
          <LoadingOutlined aria-hidden />{" "}
          {live.state === "refused" ? t("logs.live_refused") : t("logs.live_connecting")}
        </span>
      ) : paused ? (
        <span className="state">
          <PauseCircleOutlined aria-hidden /> {t("logs.live_paused", { waiting: count(live.waiting) })}
        </span>
      ) : (
        <span className="state state-good">
          <WifiOutlined aria-hidden /> {t("logs.live_on", { shown: count(live.events.length) })}
        </span>
      )}
      {live.dropped > 0 && (
        <span className="state state-bad">
          <WarningOutlined aria-hidden /> {t("logs.live_dropped", { dropped: count(live.dropped) })}
        </span>
      )}
    </p>
  );
}
