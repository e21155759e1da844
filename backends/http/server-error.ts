/**
 * The error in a server's response, in all shapes that servers use, made safe to show.
 *
 * Rule: the text is not trusted: the key that was sent is removed (servers echo it), control characters too, and its
 * length is bounded. Markup becomes a remark, since an error page says nothing about the API. Imports the JSON reader.
 * The client imports it.
 */
import type { ServerError } from './failure.ts';
import { asRecord, parseJson } from './json.ts';

const MAX_TEXT = 600;

/** Cuts out the key, and anything that looks like a bearer token or a secret key. */
export const scrub = (text: string, key: string | undefined): string =>
  (key === undefined || key.length < 4 ? text : text.replaceAll(key, '[key]'))
    .replaceAll(/\bBearer\s+[\w.~+/=-]{8,}/gi, 'Bearer [key]')
    .replaceAll(/\bsk-[\w-]{8,}/g, '[key]');

const toSingleLine = (text: string): string => {
  const line = text.replaceAll(/\p{Cc}+/gu, ' ').trim();
  return line.length > MAX_TEXT ? `${line.slice(0, MAX_TEXT)}…` : line;
};

const text = (value: unknown): string | null =>
  typeof value === 'string' && value !== ''
    ? toSingleLine(value)
    : typeof value === 'number'
      ? String(value)
      : null;

/** null when the body says nothing. */
export const serverErrorFrom = (body: string, maxDepth: number): ServerError | null => {
  const trimmed = body.trim();
  if (trimmed === '') return null;
  let parsed: unknown;
  try {
    parsed = parseJson(trimmed, maxDepth);
  } catch {
    const message = trimmed.startsWith('<')
      ? 'an HTML or XML page'
      : toSingleLine(trimmed.slice(0, MAX_TEXT));
    return { message, type: null, code: null, param: null };
  }
  const record = asRecord(parsed);
  if (record === undefined) return { message: toSingleLine(trimmed), type: null, code: null, param: null };
  // {"error":{"message":…}}, {"error":"…"}, {"message":…}, {"detail":…}, {"errors":[…]}
  const error = asRecord(record['error']) ?? record;
  const message =
    text(error['message']) ??
    text(record['error']) ??
    text(error['detail']) ??
    toSingleLine(JSON.stringify(error['detail'] ?? record).slice(0, MAX_TEXT));
  return { message, type: text(error['type']), code: text(error['code']), param: text(error['param']) };
};
