import { useTranslation } from "react-i18next";
import { APIError } from "../api/client";

/** Statuses of which the server knows more than their meaning. */
const telling = new Set([409, 413, 422, 429, 504, 507]);

/** An error in words: what happened and, where the server said it, why. */
export function useErrorText(): (error: unknown) => string {
  const { t, i18n } = useTranslation();
  return (error) => {
    if (!(error instanceof APIError)) return t("error.unknown");
    const known = i18n.exists(`error.status_${error.status}`);
    const what = known ? t(`error.status_${error.status}`) : t("error.unknown");
    // For other errors the server says no more than the console does, and in English only.
    return error.message && (!known || telling.has(error.status)) ? `${what} (${error.message})` : what;
  };
}
