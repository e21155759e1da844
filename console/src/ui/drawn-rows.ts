/** Which rows of a long list are in the document. Rule: pure. Imported by `virtual-list.tsx`. */
/** Rows drawn above and below the visible ones. */
const AROUND = 6;

/** Indexes that are drawn. `active`: a row that is drawn wherever it is; -1 = none. */
export const drawnRows = (
  count: number,
  { top, height, rowHeight, active }: { top: number; height: number; rowHeight: number; active: number },
): number[] => {
  const first = Math.max(0, Math.floor(top / rowHeight) - AROUND);
  const last = Math.min(count - 1, Math.ceil((top + height) / rowHeight) + AROUND);
  const rows = Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
  if (active < 0 || active >= count || (active >= first && active <= last)) return rows;
  return active < first ? [active, ...rows] : [...rows, active];
};
