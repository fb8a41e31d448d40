import { Alert } from "antd";
import { useTranslation } from "react-i18next";
import type { System } from "../../api/types";
import { useFormat } from "../../components/format";
import { Text } from "../../components/Text";

/** What needs a person now. */
export function Alarms({ alarms }: { alarms: System["alarms"] }) {
  const { t } = useTranslation();
  const { moment } = useFormat();
  return alarms.map((a) => (
    <Alert
      key={a.code}
      type="error"
      showIcon
      role="alert"
      title={
        <>
          <Text text={a.message} /> <span className="muted">({t("system.since", { time: moment(a.since) })})</span>
        </>
      }
    />
  ));
}
