/**
 * Where the times of a run stand on a line: a wait of days must not hide turns of seconds.
 *
 * Rule: pure. Time in which something worked is to scale; a longer time in which nothing did is a break of fixed width, and says how
 * long it was.
 */
export interface WorkSpan {
  start: number;
  end: number;
}

export interface ScaleBreak extends WorkSpan {
  /** In parts of the line, from 0 to 1. */
  from: number;
  to: number;
}

export interface TimeScale {
  /** From 0 to 1. */
  at: (ms: number) => number;
  breaks: readonly ScaleBreak[];
}

/** Width of a break, as a part of the line; and how long idle time must be, as a part of the time that worked. */
const BREAK = 0.12;
const LEAST_IDLE = 1;
/** A run in which nothing took time still needs a line. */
const LEAST_MS = 20;

/** Spans that overlap become one. */
const merged = (spans: readonly WorkSpan[]): WorkSpan[] => {
  const result: WorkSpan[] = [];
  for (const span of spans.toSorted((a, b) => a.start - b.start)) {
    const last = result.at(-1);
    if (last !== undefined && span.start <= last.end) last.end = Math.max(last.end, span.end);
    else result.push({ ...span });
  }
  return result;
};

/** `from` and `to`: of the whole line. `work`: when a model or a tool worked. */
export const timeScale = (from: number, to: number, work: readonly WorkSpan[]): TimeScale => {
  const end = Math.max(to, from + LEAST_MS);
  const busy = merged(
    work
      .map((span) => ({ start: Math.max(from, span.start), end: Math.min(end, span.end) }))
      .filter((span) => span.end >= span.start),
  );
  const worked = busy.reduce((sum, span) => sum + span.end - span.start, 0);
  const least = Math.max(LEAST_MS, worked * LEAST_IDLE);
  const gaps: WorkSpan[] = [];
  let place = from;
  for (const span of [...busy, { start: end, end }]) {
    if (span.start - place > least) gaps.push({ start: place, end: span.start });
    place = Math.max(place, span.end);
  }
  // Without any work, or with idle time alone, the line is to scale.
  const idle = gaps.reduce((sum, gap) => sum + gap.end - gap.start, 0);
  const scaled = end - from - idle;
  if (gaps.length === 0 || scaled <= 0) return { at: (ms) => clamp((ms - from) / (end - from)), breaks: [] };
  const breakWidth = Math.min(BREAK, 0.5 / gaps.length);
  const perMs = (1 - breakWidth * gaps.length) / scaled;
  const at = (ms: number): number => {
    let x = 0;
    let last = from;
    for (const gap of gaps) {
      if (ms <= gap.start) break;
      x += (gap.start - last) * perMs;
      const inside = Math.min(ms, gap.end);
      x += ((inside - gap.start) / (gap.end - gap.start)) * breakWidth;
      last = gap.end;
    }
    return clamp(x + Math.max(0, ms - last) * perMs);
  };
  return { at, breaks: gaps.map((gap) => ({ ...gap, from: at(gap.start), to: at(gap.end) })) };
};

const clamp = (part: number): number => Math.min(1, Math.max(0, part));
