import { useTranslation } from "react-i18next";
import { useImports } from "../../api/queries";
import { ErrorBox } from "../../components/ErrorBox";
import { useTitle } from "../../components/title";
import { ImportList } from "./ImportList";
import { Uploader } from "./Uploader";

/** Captures and key logs in, searchable events out. */
export default function Import() {
  const { t } = useTranslation();
  useTitle(t("nav.import"));
  const imports = useImports();
  return (
    <div className="page page-narrow">
      <h1>{t("nav.import")}</h1>
      <p className="muted">{t("import.intro")}</p>
      <Uploader done={imports.refetch} />
      <h2>{t("import.past")}</h2>
      {imports.error ? (
        <ErrorBox error={imports.error} retry={imports.refetch} />
      ) : (
        <ImportList imports={imports.data?.imports ?? []} loading={imports.isPending} />
      )}
    </div>
  );
}
