/** Numbers as both tables of the benchmark print them. */
export const figureText = (value: number | null | undefined, unit: string): string =>
  value == null
    ? '–'
    : `${value >= 100 ? value.toFixed(0) : value.toFixed(value < 1 ? 3 : 1)}${unit === '' ? '' : ` ${unit}`}`;
