import { useTranslation } from "react-i18next";
import type { Authority } from "../../../api/types";
import { useFormat } from "../../../components/format";
import { useDaysUntil } from "./days";

/** Until when a certificate is valid, louder the less of it is left. */
export function Validity({ authority }: { authority: Authority }) {
  const { t } = useTranslation();
  const { moment, count } = useFormat();
  const days = useDaysUntil();
  const { reminder, not_after } = authority;
  const loud = { none: "", below_one_year: "state-soon", below_30_days: "state-bad", expired: "state-bad" }[reminder];
  return (
    <span className={loud}>
      {reminder === "expired"
        ? t("gateway.expired_on", { time: moment(not_after) })
        : t("gateway.valid_until", { time: moment(not_after), days: count(days(not_after)) })}
    </span>
  );
}
