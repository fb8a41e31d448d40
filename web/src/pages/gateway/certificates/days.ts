import { useState } from "react";

const day = 24 * 3600_000;

/** Whole days from now until a point in time; 0 once it is past. */
export function daysUntil(at: string, now: number): number {
  return Math.max(0, Math.floor((Date.parse(at) - now) / day));
}

/** The same, from when the component was shown first. */
export function useDaysUntil(): (at: string) => number {
  const [now] = useState(() => Date.now());
  return (at) => daysUntil(at, now);
}
