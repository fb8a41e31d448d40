import type uPlot from "uplot";
import type { Palette } from "./theme";

const font = "12px system-ui, sans-serif";

/** A time axis and a value axis in the colours of the page. */
export function axes(palette: Palette, tick: (at: Date, step: number) => string, value: (n: number) => string): uPlot.Axis[] {
  const look = {
    stroke: palette.muted,
    font,
    grid: { stroke: palette.line, width: 1 },
    ticks: { stroke: palette.line, width: 1, size: 4 },
  };
  return [
    { ...look, grid: { show: false }, space: 80, values: (_u, splits, _axis, _space, step) => splits.map((s) => tick(new Date(s * 1000), step)) },
    { ...look, size: 56, space: 32, values: (_u, splits) => splits.map((s) => (Number.isInteger(s) ? value(s) : "")) },
  ];
}
