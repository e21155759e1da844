/** Times in words. Rule: pure; a length is in its largest unit, since nobody decides by the seconds of a day. */
const UNITS = [
  [86_400, 'd', 'day'],
  [3_600, 'h', 'hour'],
  [60, 'min', 'minute'],
  [1, 's', 'second'],
] as const;

/** Such as `3 h`; two units below a day where the second one matters: `1 h 20 min`. */
export const shortDuration = (seconds: number): string => {
  const whole = Math.max(0, Math.floor(seconds));
  const index = UNITS.findIndex(([size]) => whole >= size);
  const [size, unit] = UNITS[index] ?? [1, 's'];
  const count = Math.floor(whole / size);
  const next = UNITS[index + 1];
  const rest = next === undefined ? 0 : Math.floor((whole - count * size) / next[0]);
  return next === undefined || rest === 0 || count > 3 || unit === 'min'
    ? `${count} ${unit}`
    : `${count} ${unit} ${rest} ${next[1]}`;
};

/** Such as `3 hours`. */
export const longDuration = (seconds: number): string => {
  const whole = Math.max(0, Math.floor(seconds));
  const [size, , word] = UNITS.find(([unit]) => whole >= unit) ?? [1, 's', 'second'];
  const count = Math.floor(whole / size);
  return `${count} ${word}${count === 1 ? '' : 's'}`;
};

export type Urgency = 'none' | 'calm' | 'soon' | 'now' | 'past';

/** How near a deadline is: `now` in the last ten minutes, `soon` in the last hour. */
export const urgencyOf = (deadline: number | null, nowMs: number): Urgency => {
  if (deadline === null) return 'none';
  const left = deadline - nowMs / 1_000;
  if (left <= 0) return 'past';
  if (left < 600) return 'now';
  return left < 3_600 ? 'soon' : 'calm';
};
