import { useTranslation } from "react-i18next";
import type { Probe, ProcessCoverage } from "../api/types";
import { visible } from "../format/visible";
import { useFormat } from "./format";

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

/** Why a part of Vitrine is off, in words where the server gives a code for it, else as the server says it. */
export function useOff(): (off: string | undefined, text: string | undefined) => string {
  const { t, i18n } = useTranslation();
  return (off, text) => (off && i18n.exists(`off.${off}`) ? t(`off.${off}`) : (text ?? ""));
}

/** What the probe took when it paused, in words where that is a budget, else as the server says it. */
export function useExcess({ cause, taken, detail, ...probe }: Probe): string {
  const { t } = useTranslation();
  const { percent, bytes } = useFormat();
  if (taken === undefined) return detail ?? "";
  switch (cause) {
    case "over_cpu":
      return t("coverage.over_cpu", { taken: percent(taken, 1) ?? "", limit: percent(probe.cpu_limit, 1) ?? "" });
    case "over_memory":
      return t("coverage.over_memory", { taken: bytes(taken), limit: bytes(probe.memory_limit) });
    default:
      return detail ?? "";
  }
}

/** What is used in place of something that the kernel lacks, and why, in words where the probe gives a code for it, else as it says it. */
export function useLack(): (capability: Probe["capabilities"][number]) => string {
  const { t, i18n } = useTranslation();
  return ({ name, lack, detail }) =>
    lack && i18n.exists(`coverage.lack.${lack}`) && i18n.exists(`coverage.instead.${name}`)
      ? t(`coverage.instead.${name}`, { why: t(`coverage.lack.${lack}`) })
      : (detail ?? "");
}

/** Why the probe does not see into a process, in words: the reason's name, and what to do about it. */
export function useCoverageReason(code: string): { name: string; todo: string } {
  const { t, i18n } = useTranslation();
  if (code === "" || !i18n.exists(`coverage.reason.${code}.name`)) return { name: visible(code), todo: "" };
  return { name: t(`coverage.reason.${code}.name`), todo: t(`coverage.reason.${code}.do`) };
}
