import { useTranslation } from "react-i18next";
import { APIError } from "../api/client";

/** An error in words: what happened and, where the server said it, why. */
export function useErrorText(): (error: unknown) => string {
  const { t, i18n } = useTranslation();
  return (error) => {
    if (!(error instanceof APIError)) return t("error.unknown");
    const known = i18n.exists(`error.status_${error.status}`);
    const what = known ? t(`error.status_${error.status}`) : t("error.unknown");
    return error.message ? `${what} (${error.message})` : what;
  };
}
