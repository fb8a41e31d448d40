import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import type uPlot from "uplot";
import type { Overview } from "../../api/types";
import { axes, padding, sizes } from "../../components/axes";
import { Chart } from "../../components/Chart";
import { useFormat } from "../../components/format";
import { useRange } from "../../components/range";
import { usePalette } from "../../components/theme";
import { between } from "../../format/range";

/** Connections over time, decrypted and not, and beneath it the plaintext that was restored. */
export function Trend({ trend }: { trend: Overview["trend"] }) {
  const { t } = useTranslation();
  const palette = usePalette();
  const { tick, compact, count, bytes, moment } = useFormat();
  const [, setRange] = useRange();
  const points = trend.points;
  const times = useMemo(() => points.map((p) => Date.parse(p.time) / 1000), [points]);
  const series = useMemo(
    () => [
      { name: t("overview.connections"), colour: palette.chartLine, values: points.map((p) => p.connections) },
      { name: t("label.decrypted"), colour: palette.chartYes, values: points.map((p) => p.yes + p.partial) },
      { name: t("label.not_decrypted"), colour: palette.chartNo, values: points.map((p) => p.no), dash: [6, 4] },
    ],
    [points, palette, t],
  );
  const volume = useMemo(() => points.map((p) => p.plaintext_bytes), [points]);
  const lines = useMemo(
    () => ({
      padding,
      scales: { y: { range: upFromZero } },
      axes: axes(palette, tick, compact),
      series: [{}, ...series.map((s) => line(s.colour, s.dash))],
    }),
    [palette, tick, compact, series],
  );
  const area = useMemo(
    () => ({
      padding,
      scales: { y: { range: upFromZero } },
      axes: axes(palette, tick, bytes, sizes),
      series: [{}, { ...line(palette.chartYes), fill: palette.chartYes + "33" }],
    }),
    [palette, tick, bytes],
  );
  const brush = (from: number, to: number) => setRange(between(from, to));
  const at = (index: number) => <strong>{moment(points[index]?.time ?? "")}</strong>;
  const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
  return (
    <section className="card" aria-labelledby="trend-title">
      <h2 id="trend-title">{t("overview.trend")}</h2>
      <ul className="legend legend-inline">
        {series.map((s) => (
          <li key={s.name}>
            <span className="swatch" style={{ background: s.colour }} aria-hidden />
            {s.name}
          </li>
        ))}
      </ul>
      <Chart
        options={lines}
        data={[times, ...series.map((s) => s.values)]}
        height={170}
        label={`${t("overview.trend")}: ${series.map((s) => `${s.name} ${count(sum(s.values))}`).join(", ")}`}
        tooltip={(i) => (
          <>
            {at(i)}
            {series.map((s) => (
              <span key={s.name}>
                {s.name}: {count(s.values[i] ?? 0)}
              </span>
            ))}
          </>
        )}
        onBrush={brush}
      />
      <h3>{t("overview.volume")}</h3>
      <Chart
        options={area}
        data={[times, volume]}
        height={110}
        label={`${t("overview.volume")}: ${bytes(sum(volume))}`}
        tooltip={(i) => (
          <>
            {at(i)}
            <span>{bytes(volume[i] ?? 0)}</span>
          </>
        )}
        onBrush={brush}
      />
    </section>
  );
}

function line(colour: string, dash?: number[]): uPlot.Series {
  return { stroke: colour, width: 2, points: { show: false }, ...(dash && { dash }) };
}

function upFromZero(_u: uPlot, _min: number, max: number): [number, number] {
  return [0, Math.max(1, max * 1.1)];
}
