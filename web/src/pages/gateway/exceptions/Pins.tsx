import { App, Button, Spin } from "antd";
import { useTranslation } from "react-i18next";
import { useJudgePin, usePins, type Judgement } from "../../../api/gateway";
import type { Pin } from "../../../api/types";
import { DocLink } from "../../../components/DocLink";
import { ErrorBox } from "../../../components/ErrorBox";
import { useErrorText } from "../../../components/errors";
import { useFormat } from "../../../components/format";
import { useMay } from "../../../components/permissions";
import { Clipped } from "../../../components/Text";
import { visible } from "../../../format/visible";

const columns = ["server", "state", "reason", "seen", "expires", "actions"] as const;

/** Servers whose programs accept only a certificate of their own choice, as far as the gateway has learnt. */
export function Pins() {
  const { t } = useTranslation();
  const pins = usePins();
  const list = pins.data?.pins ?? [];
  return (
    <section className="card" aria-labelledby="pins-title">
      <h2 id="pins-title">{t("gateway.pins")}</h2>
      <p className="muted">
        {t("gateway.pins_note")} <DocLink page="gateway" anchor="pinned-certificates" />
      </p>
      {pins.error && <ErrorBox error={pins.error} retry={pins.refetch} />}
      {pins.isPending && <Spin />}
      {pins.data && list.length === 0 && <p>{t("gateway.pins_none")}</p>}
      {list.length > 0 && (
        <div className="access-scroll" tabIndex={0} role="region" aria-labelledby="pins-title">
          <table className="plain-table pins">
            <thead>
              <tr>
                {columns.map((column) => (
                  <th key={column} scope="col" className={`pins-${column}`}>
                    {t(`gateway.column_${column}`)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {list.map((pin) => (
                <Row key={pin.id} pin={pin} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function Row({ pin }: { pin: Pin }) {
  const { t } = useTranslation();
  const { count, moment } = useFormat();
  return (
    <tr>
      <td>
        <Clipped text={pin.name || (pin.address ?? "")} />
        <Clipped className="mono muted small" text={pin.name ? (pin.address ?? "") : ""} />
      </td>
      <td>
        <span className={`kind pin-${pin.state}`} title={t(`gateway.pin_${pin.state}_why`)}>
          {t(`gateway.pin_${pin.state}`)}
        </span>
      </td>
      <td>{t(`gateway.pin_reason_${pin.reason}`)}</td>
      <td>
        {t("gateway.pin_seen", { n: count(pin.count), clients: count(pin.clients) })}
        <span className="muted small pin-last">
          {pin.everybody ? t("gateway.pin_everybody") : t("gateway.pin_some")}
        </span>
        <span className="muted small pin-last">{moment(pin.last_seen)}</span>
      </td>
      <td>{pin.expires ? moment(pin.expires) : t("access.never")}</td>
      <td className="pins-actions">
        <Judge pin={pin} />
      </td>
    </tr>
  );
}

function Judge({ pin }: { pin: Pin }) {
  const { t } = useTranslation();
  const { message } = App.useApp();
  const text = useErrorText();
  const may = useMay();
  const judge = useJudgePin();
  if (!may("administer")) return null;
  const possible: Judgement[] = [
    ...(pin.state === "approved" ? [] : (["approve"] as const)),
    ...(pin.state === "rejected" ? [] : (["reject"] as const)),
    "forget",
  ];
  return (
    <span className="buttons">
      {possible.map((as) => (
        <Button
          key={as}
          size="small"
          disabled={judge.isPending}
          title={t(`gateway.${as}_why`)}
          aria-label={t(`gateway.${as}_what`, { name: visible(pin.name || (pin.address ?? "")) })}
          onClick={() => judge.mutate({ id: pin.id, as }, { onError: (error) => void message.error(text(error)) })}
        >
          {t(`gateway.${as}`)}
        </Button>
      ))}
    </span>
  );
}
