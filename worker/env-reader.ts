/**
 * Reads variables of the environment as text, choices, numbers, durations and addresses.
 *
 * Rule: no effects; a value that cannot be read is listed in `invalid`, and the default is used.
 * Imported by `config.ts`.
 */
import { parseDuration, quote } from '../protocol/index.ts';
import { splitAddress } from './address.ts';

export const envReader = (env: Readonly<Record<string, string | undefined>>) => {
  const invalid: string[] = [];
  /** Lists the problem and gives the default. */
  const refuse = <T>(name: string, rule: string, value: string, fallback: T): T => {
    invalid.push(`${name} must be ${rule}; got ${quote(value)}`);
    return fallback;
  };
  const text = (name: string): string | null => {
    const value = env[name]?.trim();
    return value === undefined || value === '' ? null : value;
  };
  return {
    /** One sentence for each value that cannot be read. */
    invalid,
    /** null = not set, or white space alone. */
    text,
    oneOf: <T extends string>(name: string, allowed: readonly T[], fallback: T): T => {
      const value = text(name);
      if (value === null) return fallback;
      const found = allowed.find((item) => item === value);
      return found ?? refuse(name, allowed.map((item) => `"${item}"`).join(', '), value, fallback);
    },
    whole: <T extends number | null>(name: string, from: number, to: number, fallback: T): number | T => {
      const value = text(name);
      if (value === null) return fallback;
      const number = /^\d+$/.test(value) ? Number(value) : NaN;
      if (number >= from && number <= to) return number;
      return refuse(name, `a whole number from ${from} to ${to}`, value, fallback);
    },
    /** Milliseconds. */
    duration: (name: string, from: number, to: number, fallback: number): number => {
      const value = text(name);
      if (value === null) return fallback;
      // The API's own extension counts in seconds, so a bare number does here too.
      const ms = /^\d+$/.test(value) ? Number(value) * 1_000 : parseDuration(value);
      if (ms !== undefined && ms >= from && ms <= to) return ms;
      const rule = `seconds, or a number with a unit such as "90s", "15m" or "2h", from ${from / 1_000} s to ${to / 1_000} s`;
      return refuse(name, rule, value, fallback);
    },
    /** `host:port`. */
    address: (name: string): string | null => {
      const value = text(name);
      if (value === null || splitAddress(value) !== null) return value;
      return refuse(name, 'a host and a port, such as "127.0.0.1:9465" or "[::1]:9465"', value, null);
    },
  };
};
