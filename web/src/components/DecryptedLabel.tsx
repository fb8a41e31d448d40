import { DisconnectOutlined, EyeOutlined, LockOutlined, PieChartOutlined, UnlockOutlined } from "@ant-design/icons";
import type { ComponentType } from "react";
import { useTranslation } from "react-i18next";
import type { Record } from "../api/types";
import { labelOf, type Label } from "../format/record";
import { useReason } from "./reason";

const icons: { [L in Label]: ComponentType } = {
  decrypted: UnlockOutlined,
  partial: PieChartOutlined,
  not_decrypted: LockOutlined,
  plaintext: EyeOutlined,
  not_connected: DisconnectOutlined,
};

/** Says by icon and words, never by colour alone, whether the plaintext of an event was had, or could not be since nobody was connected to. */
export function DecryptedLabel({ record }: { record: Record }) {
  const { t } = useTranslation();
  const label = labelOf(record);
  const reason = useReason(record.reason ?? "");
  if (!label) return null;
  const Icon = icons[label];
  const shown =
    record.reason && label !== "decrypted"
      ? t("label.with", { label: t(`label.${label}`), more: reason.name })
      : t(`label.${label}`);
  return (
    <span className={`label label-${label}`} title={reason.why ? `${shown}\n${reason.why}` : t(`label.${label}_why`)}>
      <Icon aria-hidden />
      <span className="clipped">{shown}</span>
    </span>
  );
}
