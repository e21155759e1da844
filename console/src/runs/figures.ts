/** Figures of runs in words: times, tokens, money. Rule: pure; three digits are enough to compare. */
import type { RunStatus, WireUsage } from '../../../protocol/wire/objects.ts';

/** Milliseconds, such as `840 ms`, `3.2 s`, `4 min 10 s`, `2 d 3 h`. */
export const spanText = (ms: number): string => {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  const seconds = ms / 1_000;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const units = [
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'min'],
    [1, 's'],
  ] as const;
  const whole = Math.round(seconds);
  const at = units.findIndex(([size]) => whole >= size);
  const [size, unit] = units[at] ?? [1, 's'];
  const [nextSize, nextUnit] = units[at + 1] ?? [1, 's'];
  const rest = Math.floor((whole % size) / nextSize);
  return rest === 0
    ? `${Math.floor(whole / size)} ${unit}`
    : `${Math.floor(whole / size)} ${unit} ${rest} ${nextUnit}`;
};

const UNITS = [
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
] as const;

/** Such as `950`, `12.4k`, `3.1M`. */
export const countText = (count: number): string => {
  const [size, unit] = UNITS.find(([least]) => count >= least) ?? [1, ''];
  const scaled = count / size;
  return `${size === 1 || scaled >= 100 ? Math.round(scaled) : scaled.toFixed(1).replace(/\.0$/, '')}${unit}`;
};

/** Such as `0.0042 USD`; empty = no model had a price. */
export const moneyText = ({ cost }: Pick<WireUsage, 'cost'>): string =>
  Object.entries(cost ?? {})
    .map(([currency, amount]) => `${amount} ${currency}`)
    .join(' + ');

export const statusText = (status: string): string => status.replaceAll('_', ' ');

export type Tone = 'busy' | 'wait' | 'ok' | 'bad' | 'dim';
const TONES: Readonly<Record<RunStatus, Tone>> = {
  queued: 'dim',
  in_progress: 'busy',
  requires_action: 'wait',
  cancelling: 'dim',
  completed: 'ok',
  failed: 'bad',
  incomplete: 'bad',
  cancelled: 'dim',
  expired: 'bad',
};

/** A run that works and waits for a person is waiting. */
export const toneOf = (status: RunStatus, waits = false): Tone => (waits ? 'wait' : TONES[status]);
