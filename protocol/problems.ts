/**
 * Problem functions: a value in, a sentence that says what is wrong with it out, or undefined. Client, HTTP face,
 * worker and workflow share them, so the four never disagree about what is valid.
 *
 * Rule: no throwing, no dependency, message = subject, rule, offending value, fix.
 * Imports nothing. Anybody may import it; the workflow sandbox may too.
 */

const ID = /^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}$/;
const TOOL_NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** Limits of the wire. Bytes are UTF-8. */
export const LIMITS = {
  metadataPairs: 16,
  metadataKey: 64,
  metadataValue: 512,
  outputChars: 1_048_576,
  combinedOutputBytes: 512_000,
  toolsOnRun: 128,
  instructions: 256_000,
  name: 256,
  description: 512,
  messageChars: 256_000,
} as const;

/** A value for an error message: JSON, cut short, never throwing. */
export const shown = (value: unknown, max = 80): string => {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    text = undefined;
  }
  text ??= typeof value === 'bigint' ? `${value}n` : typeof value;
  return text.length > max ? `${text.slice(0, max)}…` : text;
};

/** Ids go into paths, workflow ids and logs: no slashes, spaces or control characters. */
export const idProblem = (subject: string, value: unknown): string | undefined =>
  typeof value === 'string' && ID.test(value)
    ? undefined
    : `${subject} must be 1 to 128 letters, digits, "_", "-", "." or ":", starting with a letter, digit or "_"; got ${shown(value)}`;

export const toolNameProblem = (value: unknown): string | undefined =>
  typeof value === 'string' && TOOL_NAME.test(value)
    ? undefined
    : `A tool's name must be 1 to 64 letters, digits, "_" or "-"; got ${shown(value)}`;

export const metadataProblem = (value: unknown): string | undefined => {
  if (value === null || value === undefined) return undefined;
  if (typeof value !== 'object' || Array.isArray(value))
    return `metadata must be an object of strings; got ${shown(value)}`;
  const entries = Object.entries(value);
  if (entries.length > LIMITS.metadataPairs)
    return `metadata may hold ${LIMITS.metadataPairs} pairs; got ${entries.length}`;
  for (const [key, item] of entries) {
    if (key.length > LIMITS.metadataKey)
      return `metadata keys may be ${LIMITS.metadataKey} characters long; ${shown(key)} has ${key.length}`;
    if (typeof item !== 'string') return `metadata values must be strings; ${shown(key)} is ${shown(item)}`;
    if (item.length > LIMITS.metadataValue)
      return `metadata values may be ${LIMITS.metadataValue} characters long; ${shown(key)} has ${item.length}`;
  }
  return undefined;
};

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const DURATION = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/;

/** `"90s"`, `"15m"`, `"2h"`, `"1.5d"`, `"500ms"` or a number of milliseconds → milliseconds; undefined when it is neither. */
export const parseDuration = (value: unknown): number | undefined => {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? value : undefined;
  if (typeof value !== 'string') return undefined;
  const match = DURATION.exec(value.trim());
  const unit = match?.[2] === undefined ? undefined : UNITS[match[2]];
  return match?.[1] === undefined || unit === undefined ? undefined : Math.round(Number(match[1]) * unit);
};

export const durationProblem = (subject: string, value: unknown): string | undefined =>
  parseDuration(value) === undefined
    ? `${subject} needs a number and a unit, such as "90s", "15m", "2h" or "3d"; got ${shown(value)}`
    : undefined;
