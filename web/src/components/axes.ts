import type uPlot from "uplot";
import type { Palette } from "./theme";

const font = "12px system-ui, sans-serif";

/** Steps between the labels of a value axis: of counts, and of bytes as they are written. */
export const counts = Array.from({ length: 16 }, (_, power) => [1, 2, 5].map((n) => n * 10 ** power)).flat();
export const sizes = Array.from({ length: 50 }, (_, power) => 2 ** power);

/** Room around the drawing: above, right, below, left. */
export const padding: uPlot.Padding = [8, 22, 0, 0];

/** A time axis and a value axis in the colours of the page. */
export function axes(
  palette: Palette,
  tick: (at: Date, step: number) => string,
  value: (n: number) => string,
  incrs = counts,
): uPlot.Axis[] {
  const look = {
    stroke: palette.muted,
    font,
    grid: { stroke: palette.line, width: 1 },
    ticks: { stroke: palette.line, width: 1, size: 4 },
  };
  return [
    {
      ...look,
      grid: { show: false },
      space: 80,
      size: 26,
      values: (_u, splits, _axis, _space, step) => splits.map((s) => tick(new Date(s * 1000), step)),
    },
    { ...look, size: 56, space: 24, incrs, values: (_u, splits) => splits.map(value) },
  ];
}
