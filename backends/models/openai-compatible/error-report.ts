/**
 * Parses a server's report of a failure, in any shape: whole bodies, events, errors wrapped in errors.
 *
 * Rule: the text is a stranger's: bounded, on one line, and never branched on except by the readers of this folder.
 * Pure. Imported within `backends/models/` and by tests.
 */
import { parseJson } from '../../http/index.ts';
import { count, asList, record, text } from './json-text.ts';
import { isRecord } from '../../../protocol/rules/is-record.ts';

export interface ErrorReport {
  /** One line, at most `MAX_TEXT` characters; '' when the server sent no text. */
  message: string;
  /** `code`, `type` and `status` words, outermost first. */
  codes: string[];
  /** `param`, and the paths of validation errors without their leading `body`: `messages.2.content`. */
  fields: string[];
  /** An HTTP status in the body; null = none. */
  status: number | null;
  /** The wait that the body asks for; null = none. */
  retryAfterMs: number | null;
}

const MAX_TEXT = 2_000;
const MAX_DEPTH = 12;

const toSingleLine = (value: string): string => {
  const line = value.replaceAll(/\p{Cc}+/gu, ' ').trim();
  return line.length > MAX_TEXT ? `${line.slice(0, MAX_TEXT)}…` : line;
};

interface Found {
  messages: string[];
  codes: string[];
  fields: string[];
  status: number | null;
  retryAfterMs: number | null;
}

/** "7.66s", "1m2.5s", "250ms", "36s". */
export const durationMs = (value: string): number | null => {
  const match =
    /^\s*(?:(\d+)h)?\s*(?:(\d+)m(?!s))?\s*(?:(\d+(?:\.\d+)?)\s*s(?:ec(?:onds?)?)?)?\s*(?:(\d+(?:\.\d+)?)\s*ms)?\s*$/i.exec(
      value,
    );
  if (match === null || match.slice(1).every((part) => part === undefined)) return null;
  const [, hours = '0', minutes = '0', seconds = '0', ms = '0'] = match;
  return Math.round(
    Number(hours) * 3_600_000 + Number(minutes) * 60_000 + Number(seconds) * 1_000 + Number(ms),
  );
};

const WAIT_IN_TEXT =
  /(?:try again|retry|wait|available|reset)[^.\d]{0,24}?((?:\d+h\s*)?(?:\d+m(?!s)\s*)?\d+(?:\.\d+)?\s*(?:ms|s\b|sec(?:onds?)?\b))/i;

const statusFrom = (value: unknown): number | null => {
  const number = count(value);
  return number !== null && number >= 400 && number <= 599 ? number : null;
};

/** Paths in pydantic's texts: `'loc': ('body', 'messages', 2, 'content')`. */
const pathsInText = (message: string): string[] =>
  [...message.matchAll(/['"]loc['"]:\s*[([]([^)\]]{1,200})[)\]]/g)].map(([, path = '']) =>
    fieldPath(path.split(',').map((part) => part.trim().replaceAll(/^['"]|['"]$/g, ''))),
  );

const fieldPath = (parts: readonly unknown[]): string =>
  parts
    .map((part) => String(part))
    .filter((part, index) => part !== '' && !(index === 0 && (part === 'body' || part === 'query')))
    .join('.');

const parsed = (value: string): unknown => {
  const trimmed = value.trim();
  if (!trimmed.startsWith('{') && !trimmed.startsWith('[')) return undefined;
  try {
    return parseJson(trimmed);
  } catch {
    return undefined;
  }
};

/** A validation error of one field: `{loc, msg, type}`. What was given (`input`) is the caller's and stays out. */
const readDetail = (detail: Record<string, unknown>, found: Found): void => {
  const path = fieldPath(asList(detail['loc']));
  if (path !== '') found.fields.push(path);
  const message = text(detail['msg']) || text(detail['message']);
  if (message !== '') found.messages.push(path === '' ? message : `${path}: ${message}`);
  if (typeof detail['type'] === 'string') found.codes.push(detail['type']);
};

const readText = (value: string, found: Found, depth: number): void => {
  const inner = parsed(value);
  if (inner !== undefined) {
    read(inner, found, depth + 1);
    return;
  }
  found.messages.push(value.trimStart().startsWith('<') ? 'an HTML or XML page' : value);
  found.fields.push(...pathsInText(value));
};

const readCodes = (from: Record<string, unknown>, found: Found): void => {
  for (const name of ['code', 'type', 'status', 'error_code', 'errorCode', '__type', 'error_type']) {
    const value = from[name];
    if (typeof value === 'string' && value !== '' && value.length <= 200) found.codes.push(value);
    else if (typeof value === 'number') found.codes.push(String(value));
    found.status ??= statusFrom(value);
  }
  for (const name of ['status_code', 'statusCode', 'http_status', 'raw_status_code'])
    found.status ??= statusFrom(from[name]);
  const param = from['param'];
  if (typeof param === 'string' && param !== '') found.fields.push(param);
};

const readWait = (from: Record<string, unknown>, found: Found): void => {
  for (const item of [from, ...asList(from['details']).map(record), record(from['metadata'])]) {
    const value =
      item['retryDelay'] ?? item['retry_after'] ?? item['retryAfter'] ?? item['retry_after_seconds'];
    const ms =
      typeof value === 'number'
        ? Math.round(value * 1_000)
        : typeof value === 'string'
          ? (durationMs(value) ?? durationMs(`${value}s`))
          : null;
    found.retryAfterMs ??= ms;
  }
};

const read = (value: unknown, found: Found, depth: number): void => {
  if (depth > MAX_DEPTH) return;
  if (typeof value === 'string') readText(value, found, depth);
  else if (Array.isArray(value)) {
    for (const item of value.slice(0, 10)) {
      if (isRecord(item) && Array.isArray(item['loc'])) readDetail(item, found);
      else read(item, found, depth + 1);
    }
  } else if (isRecord(value)) readRecord(value, found, depth);
};

/** Where errors are wrapped in errors. */
const INNER = [
  'error',
  'errors',
  'message',
  'msg',
  'detail',
  'status_msg',
  'error_message',
  'error_msg',
  'reason',
  'innererror',
  'base_resp',
] as const;
/** The error of the server behind a router. */
const UPSTREAM_ERROR_FIELDS = ['raw', 'upstreamResponse', 'upstream', 'provider_error', 'cause'] as const;

const readRecord = (body: Record<string, unknown>, found: Found, depth: number): void => {
  readCodes(body, found);
  readWait(body, found);
  for (const name of INNER) {
    const inner = body[name];
    if (typeof inner === 'string' ? inner.trim() !== '' : typeof inner === 'object' && inner !== null)
      read(inner, found, depth + 1);
  }
  for (const name of UPSTREAM_ERROR_FIELDS) {
    const inner = body[name] ?? record(body['metadata'])[name];
    if (typeof inner === 'string' || isRecord(inner)) read(inner, found, depth + 1);
  }
  const kind = record(body['metadata'])['error_type'];
  if (typeof kind === 'string') found.codes.push(kind);
};

export const readReport = (body: unknown): ErrorReport => {
  const found: Found = { messages: [], codes: [], fields: [], status: null, retryAfterMs: null };
  read(body, found, 0);
  const message = toSingleLine(
    [...new Set(found.messages.map((one) => one.trim()).filter((one) => one !== ''))].join('; '),
  );
  const inText = WAIT_IN_TEXT.exec(message)?.[1];
  return {
    message,
    codes: [...new Set(found.codes.map((code) => toSingleLine(code)))],
    fields: [...new Set(found.fields)],
    status: found.status,
    retryAfterMs: found.retryAfterMs ?? (inText === undefined ? null : durationMs(inText)),
  };
};

/** The text of an error body: JSON of any shape, a page, or words. */
export const readErrorBody = (body: string): ErrorReport => readReport(body);

const isNonEmpty = (value: unknown): boolean =>
  (typeof value === 'string' && value.trim() !== '') ||
  (isRecord(value) && Object.keys(value).length > 0) ||
  (Array.isArray(value) && value.length > 0);

/** Is a value that came with status 200 an error, and not an answer or a chunk of one? */
export const isErrorBody = (value: unknown): boolean => {
  if (Array.isArray(value)) return value.some((item) => isRecord(item) && isErrorBody(item));
  if (!isRecord(value)) return false;
  if (isNonEmpty(value['error']) || isNonEmpty(value['errors'])) return true;
  if (value['object'] === 'error' || value['type'] === 'error' || value['success'] === false) return true;
  const base = value['base_resp'];
  if (isRecord(base) && (count(base['status_code']) ?? 0) !== 0) return true;
  const choices = asList(value['choices']);
  if (choices.some((choice) => isRecord(choice) && isNonEmpty(choice['error']))) return true;
  if (choices.length > 0 || value['usage'] !== undefined) return false;
  return ['message', 'msg', 'detail', 'error_msg', 'error_message', 'errorCode', '__type'].some((name) =>
    isNonEmpty(value[name]),
  );
};

/** The part of an in-band error that describes it. */
export const reportOfBody = (value: unknown): ErrorReport => {
  const inChoice = asList(record(value)['choices'])
    .map((choice) => record(choice)['error'])
    .find((error) => isNonEmpty(error));
  return readReport(isNonEmpty(record(value)['error']) || inChoice === undefined ? value : inChoice);
};
