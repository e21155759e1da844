/**
 * Keeps configured secrets out of texts that leave the worker. Pure.
 *
 * Rule: every value of `env` and `headers` counts as a secret. Imported within `worker/mcp/` and by tests.
 */
import type { McpHeaders, McpServerOptions } from '../../activities/index.ts';

/** Shorter values are switches and numbers; to take those out would make a text unreadable. */
const MIN_SECRET_CHARS = 6;

export interface Secrets {
  /** Values that came later, from a function. */
  add(values: McpHeaders): void;
  redact(text: string): string;
}

export const secretsOf = ({ env = {}, headers = {} }: Pick<McpServerOptions, 'env' | 'headers'>): Secrets => {
  const known = new Set<string>();
  const add = (values: McpHeaders): void => {
    for (const value of Object.values(values)) {
      if (value === undefined || value.length < MIN_SECRET_CHARS) continue;
      known.add(value);
      // `Bearer TOKEN`: a server may repeat the token alone.
      const last = value.split(' ').at(-1) ?? '';
      if (last.length >= MIN_SECRET_CHARS) known.add(last);
    }
  };
  add(env);
  if (typeof headers !== 'function') add(headers);
  return {
    add,
    redact: (text) => [...known].reduce((clean, secret) => clean.replaceAll(secret, '***'), text),
  };
};
