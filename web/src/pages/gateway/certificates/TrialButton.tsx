import { App, Button } from "antd";
import { useTranslation } from "react-i18next";
import { useMakeTrial } from "../../../api/gateway";
import type { Authority } from "../../../api/types";
import { useErrorText } from "../../../components/errors";

interface Props {
  authorities: readonly Authority[];
  made?: (authority: Authority) => void;
}

/** Makes the one trial authority there can be, with one click. */
export function TrialButton({ authorities, made }: Props) {
  const { t } = useTranslation();
  const { message } = App.useApp();
  const text = useErrorText();
  const trial = useMakeTrial();
  if (authorities.some((a) => a.trial)) return null;
  return (
    <Button
      type={authorities.length === 0 ? "primary" : "default"}
      loading={trial.isPending}
      onClick={() =>
        trial.mutate("trial", {
          onSuccess: (authority) => made?.(authority),
          onError: (error) => void message.error(text(error)),
        })
      }
    >
      {t("gateway.make_trial")}
    </Button>
  );
}
