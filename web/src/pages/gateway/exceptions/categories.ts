import { useTranslation } from "react-i18next";

/** A category in words; one that the console does not know is shown as it is. */
export function useCategoryName(): (id: string) => string {
  const { t, i18n } = useTranslation();
  return (id) => (i18n.exists(`gateway.category.${id}`) ? t(`gateway.category.${id}`) : id);
}
