import { useEffect, useRef, useState, type ReactNode } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

interface Props {
  /** Everything but the size; a new object makes a new chart. */
  options: Omit<uPlot.Options, "width" | "height">;
  data: uPlot.AlignedData;
  height: number;
  /** What the chart shows, for those who can't see it. */
  label: string;
  /** What is said about the point under the pointer. */
  tooltip: (index: number) => ReactNode;
  onBrush?: (from: number, to: number) => void;
}

interface Point {
  index: number;
  inRightHalf: boolean;
}

/** A chart over time that follows the width of its place. */
export function Chart({ options, data, height, label, tooltip, onBrush }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  const latest = useRef({ data, onBrush });
  const [point, setPoint] = useState<Point>();
  useEffect(() => {
    latest.current = { data, onBrush };
    plot.current?.setData(data);
  }, [data, onBrush]);

  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const made = new uPlot(
      {
        ...options,
        width: element.clientWidth,
        height,
        legend: { show: false },
        cursor: { y: false, drag: { x: latest.current.onBrush !== undefined, y: false, setScale: false } },
        hooks: {
          setCursor: [(u) => setPoint(pointUnder(u))],
          setSelect: [
            (u) => {
              if (u.select.width < 4) return;
              latest.current.onBrush?.(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
              u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            },
          ],
        },
      },
      latest.current.data,
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [options, height]);

  const inside = point && point.index < data[0].length ? point : undefined;
  return (
    <div className="chart" role="img" aria-label={label}>
      <div ref={place} style={{ height }} />
      {inside && (
        <div className={`chart-tooltip ${inside.inRightHalf ? "chart-tooltip-left" : "chart-tooltip-right"}`}>
          {tooltip(inside.index)}
        </div>
      )}
    </div>
  );
}

function pointUnder(u: uPlot): Point | undefined {
  const { idx, left } = u.cursor;
  return typeof idx === "number" ? { index: idx, inRightHalf: (left ?? 0) > u.over.clientWidth / 2 } : undefined;
}
