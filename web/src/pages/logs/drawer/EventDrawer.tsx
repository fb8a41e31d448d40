import { Drawer, Spin, Tabs } from "antd";
import { useTranslation } from "react-i18next";
import { useEvent } from "../../../api/queries";
import type { Record } from "../../../api/types";
import { DecryptedLabel } from "../../../components/DecryptedLabel";
import { ErrorBox } from "../../../components/ErrorBox";
import { useFormat } from "../../../components/format";
import { Clipped } from "../../../components/Text";
import { useMay } from "../../../components/permissions";
import { useReason } from "../../../components/reason";
import { nameOf, summaryOf } from "../../../format/record";
import { ConnectionTab } from "./ConnectionTab";
import { ContentTab, hasContent } from "./ContentTab";
import { PacketDownloads } from "./PacketDownloads";
import { RawTab } from "./RawTab";
import { Related } from "./Related";
import { TLSTab } from "./TLSTab";

interface Props {
  id: string;
  close: () => void;
  run: (q: string) => void;
}

/** Everything about one event. The table behind stays usable: the arrow keys there go from event to event. */
export default function EventDrawer({ id, close, run }: Props) {
  const { t } = useTranslation();
  const event = useEvent(id);
  return (
    <Drawer
      open
      mask={false}
      size="min(760px, 94vw)"
      onClose={close}
      autoFocus={false}
      title={event.data ? <Title record={event.data} /> : t("drawer.loading")}
      closable={{ "aria-label": t("action.close") }}
      styles={{ body: { paddingTop: 0 } }}
    >
      {event.isPending && <Spin className="page-spin" size="large" />}
      {event.error && <ErrorBox error={event.error} retry={event.refetch} />}
      {event.data && <Details key={id} record={event.data} run={run} />}
    </Drawer>
  );
}

function Title({ record }: { record: Record }) {
  const { t } = useTranslation();
  const { exact } = useFormat();
  const name = nameOf(record)?.value ?? "";
  return (
    <div className="drawer-title">
      <span className={`kind kind-${record.kind}`}>{t(`kind.${record.kind}`)}</span>
      <Clipped text={[name, summaryOf(record)].filter(Boolean).join("  ")} />
      <span className="drawer-sub">
        <DecryptedLabel record={record} />
        <span className="muted mono">{exact(record.time)}</span>
      </span>
    </div>
  );
}

function Details({ record, run }: { record: Record; run: (q: string) => void }) {
  const { t } = useTranslation();
  const may = useMay();
  const { why } = useReason(record.reason ?? "");
  const tabs = [
    ...(hasContent(record)
      ? [
          {
            key: "content",
            label: record.coverage ? t("nav.coverage") : t("drawer.content"),
            children: <ContentTab record={record} />,
          },
        ]
      : []),
    ...(record.tls ? [{ key: "tls", label: t("drawer.tls"), children: <TLSTab record={record} /> }] : []),
    {
      key: "connection",
      label: record.conn_id ? t("drawer.connection") : t("drawer.process"),
      children: <ConnectionTab record={record} />,
    },
    ...(record.conn_id
      ? [{ key: "related", label: t("drawer.related"), children: <Related record={record} run={run} /> }]
      : []),
    ...(record.conn_id && may("packets")
      ? [
          {
            key: "packets",
            label: t("drawer.packets"),
            children: <PacketDownloads conn={record.conn_id} encrypted={record.tls !== undefined} />,
          },
        ]
      : []),
    { key: "raw", label: t("drawer.raw"), children: <RawTab record={record} /> },
  ];
  return (
    <>
      {record.decrypted !== "yes" && why && <p className="drawer-why">{why}</p>}
      <Tabs items={tabs} />
    </>
  );
}
