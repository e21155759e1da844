/**
 * Status, headers and times of an answer.
 *
 * Rule: header names are lower case, repeated values joined; a `date` that does not parse is no date.
 * Imports undici's types. The client imports it.
 */
import type { Dispatcher } from 'undici';
import type { HttpAnswer } from './types.ts';

const flat = (headers: Record<string, string | string[] | undefined>): Record<string, string> => {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined) result[name] = Array.isArray(value) ? value.join(', ') : value;
  return result;
};

export const isJsonType = (type: string): boolean =>
  /^(application|text)\/([\w.-]+\+)?json\b/i.test(type.trim());

export const answerOf = (
  response: Pick<Dispatcher.ResponseData, 'statusCode' | 'headers'>,
  receivedAt: number,
): HttpAnswer => {
  const headers = flat(response.headers);
  const date = Date.parse(headers['date'] ?? '');
  return {
    status: response.statusCode,
    headers,
    serverTime: Number.isNaN(date) ? null : date,
    receivedAt,
  };
};
