/**
 * A figure of the server benchmark: the measured value, the value that it is compared with, and whether the target is
 * met. Pure.
 */
import { figureText } from './table.ts';

export interface Figure {
  what: string;
  /** What `reference` is; null = nothing is compared. */
  against: string | null;
  reference: number | null;
  ours: number;
  unit: string;
  /** `ratio`: of ours to the reference; `value`: of ours. Absent = no target, told for its own sake. */
  target?: { of: 'ratio' | 'value'; atMost: number } | { of: 'ratio' | 'value'; atLeast: number };
}

/** A figure that is held against nothing. */
export const alone = (what: string, ours: number, unit: string, target?: Figure['target']): Figure => ({
  what,
  against: null,
  reference: null,
  ours,
  unit,
  ...(target === undefined ? {} : { target }),
});

export const ratioOf = ({ ours, reference }: Figure): number | null =>
  reference === null ? null : ours / reference;

/** null: no target, or nothing to compare with. */
export const isMet = (figure: Figure): boolean | null => {
  const { target } = figure;
  if (target === undefined) return null;
  const value = target.of === 'ratio' ? ratioOf(figure) : figure.ours;
  if (value === null) return null;
  return 'atMost' in target ? value <= target.atMost : value >= target.atLeast;
};

const targetText = (figure: Figure): string => {
  const { target, unit } = figure;
  const met = isMet(figure);
  if (target === undefined || met === null) return '';
  const limit = 'atMost' in target ? `≤ ${target.atMost}` : `≥ ${target.atLeast}`;
  return `${limit}${target.of === 'value' ? ` ${unit}` : ' ×'} ${met ? 'ok' : 'MISSED'}`;
};

export const figureTable = (figures: readonly Figure[]): string => {
  const rows = figures.map((figure) => {
    const ratio = ratioOf(figure);
    return [
      figure.what,
      figure.against === null ? '–' : `${figureText(figure.reference, figure.unit)} (${figure.against})`,
      figureText(figure.ours, figure.unit),
      ratio === null ? '–' : ratio.toFixed(2),
      targetText(figure),
    ];
  });
  return [
    '| figure | held against | durable-runs | ratio | target |',
    '|---|---|---|---|---|',
    ...rows.map((cells) => `| ${cells.join(' | ')} |`),
  ].join('\n');
};
