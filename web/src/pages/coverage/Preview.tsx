import { useTranslation } from "react-i18next";
import type { FilteredProcess } from "../../api/types";
import { useFormat } from "../../components/format";
import { Clipped } from "../../components/Text";
import { containerName } from "./processes";

const groups = ["yes", "partly", "no"] as const;

/** Processes that are named for each group; more are only counted. */
const named = 50;

interface Props {
  processes: FilteredProcess[] | undefined;
  failed: boolean;
}

/** What the filter would do to the processes of now. */
export function Preview({ processes, failed }: Props) {
  const { t } = useTranslation();
  const { count } = useFormat();
  return (
    <section className="preview" aria-labelledby="preview-title" aria-live="polite">
      <h3 id="preview-title">{t("filter.preview")}</h3>
      {failed && <p className="muted">{t("filter.preview_none")}</p>}
      {processes?.length === 0 && <p className="muted">{t("coverage.none")}</p>}
      {groups.map((seen) => {
        const some = processes?.filter((p) => p.seen === seen) ?? [];
        if (some.length === 0) return null;
        return (
          <details key={seen} open={some.length <= 8}>
            <summary>{t("label.with", { label: t(`filter.seen_${seen}`), more: count(some.length) })}</summary>
            <ul>
              {some.slice(0, named).map((p) => (
                <li key={p.process.pid}>
                  <Clipped
                    text={[`${p.process.name ?? "?"} (${p.process.pid})`, containerName(p.container), p.process.exe]
                      .filter(Boolean)
                      .join("  ")}
                  />
                </li>
              ))}
              {some.length > named && <li className="muted">{t("filter.more", { n: count(some.length - named) })}</li>}
            </ul>
          </details>
        );
      })}
    </section>
  );
}
