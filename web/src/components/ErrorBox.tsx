import { Alert, Button } from "antd";
import { useTranslation } from "react-i18next";
import { useErrorText } from "./errors";

/** Tells of a failed request, with a way to try again. */
export function ErrorBox({ error, retry }: { error: unknown; retry?: () => unknown }) {
  const { t } = useTranslation();
  const text = useErrorText();
  return (
    <Alert
      type="error"
      showIcon
      title={text(error)}
      action={
        retry && (
          <Button size="small" onClick={() => void retry()}>
            {t("action.retry")}
          </Button>
        )
      }
    />
  );
}
