import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import uPlot from "uplot";
import type { Histogram } from "../../api/types";
import { axes, padding } from "../../components/axes";
import { Chart } from "../../components/Chart";
import { useFormat } from "../../components/format";
import { usePalette } from "../../components/theme";
import { between, type Range } from "../../format/range";

interface Props {
  histogram: Histogram;
  zoom: (range: Range) => void;
}

/** Events over time, those that were decrypted as the lower part of each bar. Dragging over a stretch zooms into it. */
export default function HistogramChart({ histogram, zoom }: Props) {
  const { t } = useTranslation();
  const palette = usePalette();
  const { tick, compact, count, moment } = useFormat();
  const { buckets, interval_s: interval } = histogram;
  const options = useMemo(() => {
    const bars = uPlot.paths.bars?.({ size: [0.86, 40], align: 1 });
    const part = (colour: string) => ({
      fill: colour,
      width: 0,
      points: { show: false },
      ...(bars && { paths: bars }),
    });
    return {
      padding,
      scales: {
        x: { range: (_u: uPlot, min: number, max: number): uPlot.Range.MinMax => [min, max + interval] },
        y: { range: (_u: uPlot, _min: number, max: number): uPlot.Range.MinMax => [0, Math.max(1, max * 1.08)] },
      },
      axes: axes(palette, tick, compact),
      series: [{}, part(palette.chartNo), part(palette.chartYes)],
    };
  }, [palette, tick, compact, interval]);
  const data = useMemo(
    (): uPlot.AlignedData => [
      buckets.map((b) => Date.parse(b.time) / 1000),
      buckets.map((b) => b.count), // drawn first, so that what remains in sight is the part that was not decrypted
      buckets.map((b) => b.decrypted),
    ],
    [buckets],
  );
  const sum = (pick: (b: Histogram["buckets"][number]) => number) => count(buckets.reduce((n, b) => n + pick(b), 0));
  const total = sum((b) => b.count);
  const decrypted = sum((b) => b.decrypted);
  return (
    <div className="histogram">
      <Chart
        options={options}
        data={data}
        height={96}
        label={t("logs.histogram", { total, decrypted })}
        tooltip={(i) => (
          <>
            <strong>{moment(buckets[i]?.time ?? "")}</strong>
            <span>
              {t("logs.events")}: {count(buckets[i]?.count ?? 0)}
            </span>
            <span>
              {t("label.decrypted")}: {count(buckets[i]?.decrypted ?? 0)}
            </span>
          </>
        )}
        onBrush={(from, to) => zoom(between(from, to))}
      />
      <p className="histogram-note muted">
        <span className="swatch share-decrypted" aria-hidden /> {t("label.decrypted")} <strong>{decrypted}</strong>
        <span className="swatch share-not_decrypted" aria-hidden /> {t("logs.events")} <strong>{total}</strong>
        <span>{t("logs.brush")}</span>
      </p>
    </div>
  );
}
