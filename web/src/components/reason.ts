import { useTranslation } from "react-i18next";
import type { ProcessCoverage } from "../api/types";
import { visible } from "../format/visible";

type CoverageCause = Pick<ProcessCoverage, "cause" | "detail" | "library" | "version">;

/** A reason code in words: its name, and what it means and what to do. A code that is not known is shown as it is. */
export function useReason(code: string): { name: string; why: string } {
  const { t, i18n } = useTranslation();
  if (code === "" || !i18n.exists(`reason.${code}.name`)) return { name: visible(code), why: "" };
  return { name: t(`reason.${code}.name`), why: t(`reason.${code}.why`) };
}

/** What exactly stands in the way, in words where the probe gives a code for it, else as the probe or the kernel says it. */
export function useCoverageDetail({ cause, detail, library, version }: CoverageCause): string {
  const { t, i18n } = useTranslation();
  if (!cause || !i18n.exists(`coverage.cause.${cause}`)) return detail ?? "";
  return t(`coverage.cause.${cause}`, { library: [library, version].filter(Boolean).join(" ") });
}

/** Why the probe does not see into a process, in words: the reason's name, and what to do about it. */
export function useCoverageReason(code: string): { name: string; todo: string } {
  const { t, i18n } = useTranslation();
  if (code === "" || !i18n.exists(`coverage.reason.${code}.name`)) return { name: visible(code), todo: "" };
  return { name: t(`coverage.reason.${code}.name`), todo: t(`coverage.reason.${code}.do`) };
}
