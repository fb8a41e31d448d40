import { Button } from "antd";
import { useTranslation } from "react-i18next";
import { usePreference } from "./preferences";

/** Shows times in local time or UTC. */
export function ZoneSwitch() {
  const { t } = useTranslation();
  const [zone, setZone] = usePreference("zone");
  return (
    <Button type="text" title={t("zone.switch")} onClick={() => setZone(zone === "utc" ? "local" : "utc")}>
      {t(`zone.${zone}`)}
    </Button>
  );
}
