import { PauseOutlined, PlayCircleOutlined } from "@ant-design/icons";
import { Button } from "antd";
import { useTranslation } from "react-i18next";

interface Props {
  on: boolean;
  change: (on: boolean) => void;
}

/** Switches the live tail. */
export function LiveToggle({ on, change }: Props) {
  const { t } = useTranslation();
  return (
    <Button
      size="small"
      type={on ? "primary" : "default"}
      aria-pressed={on}
      icon={on ? <PauseOutlined aria-hidden /> : <PlayCircleOutlined aria-hidden />}
      onClick={() => change(!on)}
    >
      {t("logs.live")}
    </Button>
  );
}
