import { Alert } from "antd";
import { useTranslation } from "react-i18next";
import type { Gateway } from "../../api/types";
import { Command } from "../../components/Command";
import { DocLink } from "../../components/DocLink";
import { useOff } from "../../components/reason";
import { Text } from "../../components/Text";

/** The gateway does not run: why, and how to turn it on. Everything can be prepared nevertheless. */
export function Off({ gateway }: { gateway: Gateway }) {
  const { t } = useTranslation();
  const why = useOff()(gateway.off, gateway.why_not);
  return (
    <Alert
      type="info"
      showIcon
      title={<strong>{t("gateway.off_title")}</strong>}
      description={
        <div className="gateway-off">
          {why && (
            <p>
              <Text text={why} />
            </p>
          )}
          <p>
            {t("gateway.off_do")} <DocLink page="gateway" />
          </p>
          <Command text="sudo vitrine up --gateway" />
        </div>
      }
    />
  );
}
