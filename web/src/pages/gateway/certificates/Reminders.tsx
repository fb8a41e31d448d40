import { Alert } from "antd";
import { useTranslation } from "react-i18next";
import { useAuthorities } from "../../../api/gateway";
import { useFormat } from "../../../components/format";
import { visible } from "../../../format/visible";
import { useDaysUntil } from "./days";

/** Says of every certificate that ends within a year that it does. It can't be put away: only a new certificate ends it. */
export function Reminders() {
  const { t } = useTranslation();
  const { moment, count } = useFormat();
  const days = useDaysUntil();
  const authorities = useAuthorities().data?.authorities ?? [];
  return authorities
    .filter((a) => a.reminder !== "none")
    .map((a) => (
      <Alert
        key={a.name}
        type={a.reminder === "below_one_year" ? "warning" : "error"}
        showIcon
        title={
          <>
            <strong>
              {t(`gateway.reminder_${a.reminder}`, {
                name: visible(a.name),
                time: moment(a.not_after),
                days: count(days(a.not_after)),
              })}
            </strong>{" "}
            {a.trial ? t("gateway.reminder_trial") : t("gateway.reminder_note")}
          </>
        }
      />
    ));
}
