/** The ids with the one at a place moved up or down by one. */
export function moved(ids: readonly string[], at: number, by: -1 | 1): string[] {
  const next = [...ids];
  const [it] = next.splice(at, 1);
  if (it !== undefined) next.splice(at + by, 0, it);
  return next;
}
