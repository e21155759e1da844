/** The geometry of stacked bars. Rule: pure; values are never negative, and an empty chart has no bars. */
export interface BarPart {
  key: string;
  value: number;
}
export interface StackedBar {
  /** In parts of the chart's width and height, from 0 to 1, from its top left. */
  x: number;
  width: number;
  parts: { key: string; y: number; height: number; value: number }[];
}

/** A round number of at least `value`, with its even parts for the axis. */
export const axisOf = (value: number): { top: number; ticks: number[] } => {
  if (value <= 0) return { top: 1, ticks: [0, 1] };
  const size = 10 ** Math.floor(Math.log10(value));
  const top = [1, 2, 5, 10].map((step) => step * size).find((round) => round >= value) ?? value;
  const whole = Math.max(1, top);
  return { top: whole, ticks: whole % 2 === 0 ? [0, whole / 2, whole] : [0, whole] };
};

/** `gap`: part of a bar's place that stays empty. */
export const stackedBars = (
  columns: readonly (readonly BarPart[])[],
  top: number,
  gap = 0.2,
): StackedBar[] => {
  const place = columns.length === 0 ? 0 : 1 / columns.length;
  return columns.map((column, index) => {
    let y = 1;
    const parts = column
      .filter(({ value }) => value > 0)
      .map(({ key, value }) => {
        const height = value / top;
        y -= height;
        return { key, y, height, value };
      });
    return { x: (index + gap / 2) * place, width: place * (1 - gap), parts };
  });
};
